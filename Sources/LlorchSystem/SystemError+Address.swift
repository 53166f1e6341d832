// Which errors of bind(2) and accept(2) a server has a remedy for.
// SPDX-License-Identifier: Apache-2.0

import Glibc

extension SystemError {
    /// Another process has the address.
    package var isAddressInUse: Bool { code == EADDRINUSE }

    /// This process may not have the address.
    package var isNotPermitted: Bool { code == EACCES }

    /// The process or the system has no descriptor, no buffer or no memory left; some may come free.
    package var isOutOfResources: Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) }

    /// The client had left before its connection was accepted.
    package var isConnectionAborted: Bool { code == ECONNABORTED }
}

// Which errors have a remedy that a sentence can name.
// SPDX-License-Identifier: Apache-2.0

import Glibc

extension SystemError {
    /// Another process has the address.
    package var isAddressInUse: Bool { code == EADDRINUSE }

    /// A part of the path is not there.
    package var isMissing: Bool { code == ENOENT }

    /// This process may not have the address.
    package var isNotPermitted: Bool { code == EACCES }

    /// The process or the system has no descriptor, no buffer or no memory left; some may come free.
    package var isOutOfResources: Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) }

    /// The client had left before its connection was accepted.
    package var isConnectionAborted: Bool { code == ECONNABORTED }
}

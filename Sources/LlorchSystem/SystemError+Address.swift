// Which errors of bind(2) a server has a remedy for.
// SPDX-License-Identifier: Apache-2.0

import Glibc

extension SystemError {
    /// Another process has the address.
    package var isAddressInUse: Bool { code == EADDRINUSE }

    /// This process may not have the address.
    package var isNotPermitted: Bool { code == EACCES }
}

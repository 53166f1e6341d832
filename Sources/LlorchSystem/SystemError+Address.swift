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
}

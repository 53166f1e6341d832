// What tells this process from others on the machine. Its memory: ProcessMemory.swift.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum ThisProcess {
    /// The number that the system gave the process.
    package static var number: Int32 { getpid() }
}

// Where the file of the running program lies, for what is installed beside it.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum ProgramPath {
    /// The absolute path of the program's file, links followed; nil if the system does not say.
    package static func current() -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = unsafe buffer.withUnsafeMutableBytes { buffer in
            unsafe buffer.baseAddress.map {
                unsafe readlink("/proc/self/exe", $0, buffer.count)
            } ?? 0
        }
        return count > 0 ? PathText.text(buffer[..<count]) : nil
    }
}

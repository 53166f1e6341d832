// Small files that a process keeps for its successor: replaced whole, so that a process killed while writing
// leaves the old content or the new one. Files with secrets: SecretFile.swift.
// SPDX-License-Identifier: Apache-2.0

package import Glibc

package enum SmallFile {
    /// Replaces the content of `path`, readable by its owner only, by way of `path.new`.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
        let draft = path + ".new"
        // A draft that a killed process left may have other permissions.
        remove(draft)
        do {
            let file = try Descriptor(
                opening: draft, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
            try file.write(bytes.span)
        }
        _ = try SystemCall.check("rename \(draft)") {
            unsafe PathText.withCString(draft) { draft in
                unsafe PathText.withCString(path) { unsafe rename(draft, $0) }
            }
        }
    }

    /// Creates `path` with `write`, removes it again where that fails, and replaces no file.
    package static func create(
        _ path: String, mode: mode_t, _ write: (borrowing Descriptor) throws(SystemError) -> Void
    ) throws(SystemError) {
        let file = try Descriptor(opening: path, O_WRONLY | O_CREAT | O_EXCL, mode: mode)
        do throws(SystemError) {
            try write(file)
            try file.synchronize()
        } catch {
            remove(path)
            throw error
        }
    }

    /// Removes a file where it exists.
    package static func remove(_ path: String) {
        _ = unsafe PathText.withCString(path) { unsafe unlink($0) }
    }
}

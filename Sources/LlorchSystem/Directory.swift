// What stands at a path, and the names in a directory. Nothing is opened for reading or changed here.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// What stands at a path.
package enum PathKind: Sendable, Hashable {
    case file
    case directory
    case other
    case nothing

    /// Follows links.
    package init(path: String) throws(FileError) {
        var status = stat()
        do throws(SystemError) {
            _ = try SystemCall.check("stat \(path)") {
                unsafe PathText.withCString(path) { unsafe stat($0, &status) }
            }
        } catch {
            let failure = FileError(path, error)
            guard failure.problem == .missing else { throw failure }
            self = .nothing
            return
        }
        switch FileStatus(status).kind {
        case .file: self = .file
        case .directory: self = .directory
        case .socket, .other: self = .other
        }
    }
}

package enum Directory {
    /// The names in a directory, ascending, without `.` and `..`; reading stops after `limit` names.
    package static func names(
        in path: String, limit: Int = 10_000
    ) throws(FileError) -> [String] {
        guard let stream = unsafe PathText.withCString(path, { unsafe opendir($0) }) else {
            throw FileError(path, SystemError("opendir \(path)", errno))
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while names.count < limit, let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe PathText.text(bytes.prefix { $0 != 0 })
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }
}

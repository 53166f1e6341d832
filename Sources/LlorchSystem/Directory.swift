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
    /// Creates a directory that only its owner may enter; one that exists is left as it is.
    package static func makeForOwner(_ path: String) throws(SystemError) {
        do throws(SystemError) {
            _ = try SystemCall.check("mkdir \(path)") {
                unsafe PathText.withCString(path) { unsafe mkdir($0, 0o700) }
            }
        } catch {
            guard error.code == EEXIST else { throw error }
        }
    }

    /// Throws where the path is no directory, or this process may not create files in it.
    package static func checkWritable(_ path: String) throws(SystemError) {
        _ = try Descriptor(opening: path, O_RDONLY | O_DIRECTORY)
        _ = try SystemCall.check("access \(path)") {
            unsafe PathText.withCString(path) { unsafe access($0, W_OK | X_OK) }
        }
    }

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

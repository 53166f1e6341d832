// The keys that may connect, as they lie on disk. Who asks for them, and how often: ConnectionGuard.swift.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

/// The keys that may connect: a public key file, or a directory of them.
package struct AllowedKeys: Sendable, Hashable {
    package let path: String

    /// Most keys in a directory; reading more would hold up the worker's loop for long.
    static let maximumCount = 1_024
    /// Most names in a directory, those of other files included.
    static let maximumNames = 16_384

    package init(path: String) {
        self.path = path
    }

    /// Reads the keys; in a directory, those of the files with names in `.key`.
    package func load() throws(CurveKeyError) -> Set<CurvePublicKey> {
        guard try isDirectory() else { return [try CurveKeyFile.publicKey(at: path)] }
        var keys: Set<CurvePublicKey> = []
        for name in try names()
        where name.hasSuffix(CurveKeyFile.publicSuffix) && !name.hasPrefix(".") {
            keys.insert(try CurveKeyFile.publicKey(at: "\(path)/\(name)"))
            guard keys.count <= Self.maximumCount else {
                throw CurveKeyError(path, "expected at most \(Self.maximumCount) keys, found more")
            }
        }
        return keys
    }

    private func isDirectory() throws(CurveKeyError) -> Bool {
        do throws(FileError) {
            return try PathKind(path: path) == .directory
        } catch {
            throw CurveKeyError(path, error.reason)
        }
    }

    private func names() throws(CurveKeyError) -> [String] {
        let names: [String]
        do throws(FileError) {
            names = try Directory.names(in: path, limit: Self.maximumNames)
        } catch {
            throw CurveKeyError(path, error.reason)
        }
        guard names.count < Self.maximumNames else {
            throw CurveKeyError(
                path, "expected fewer than \(Self.maximumNames) files, found more")
        }
        return names
    }
}

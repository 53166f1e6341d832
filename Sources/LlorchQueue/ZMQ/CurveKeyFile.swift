// Key files as CZMQ and pyzmq write them (https://rfc.zeromq.org/spec/4/): a section `curve` with `public-key`
// and, in the file that stays secret, `secret-key`. A strict reader of that much of ZPL, and a writer.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem

/// Why a key file cannot be used, without any part of a secret.
package struct CurveKeyError: Error, Sendable, Hashable, CustomStringConvertible {
    package var path: String
    package var reason: String

    package init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { "\(path): \(reason)" }

    init(_ error: SecretFileError, hint: String = "") {
        self.init(error.path, error.reason + hint)
    }

    static func unavailable(_ path: String) -> CurveKeyError {
        CurveKeyError(
            path, "this libzmq was built without CURVE; install one with libsodium, as Debian's is")
    }
}

package enum CurveKeyFile {
    package static let publicSuffix = ".key"
    package static let secretSuffix = ".key_secret"

    /// Reads the key that a file shares with others.
    ///
    /// - Throws: also for a file that holds a secret, because its owner should keep that to itself.
    package static func publicKey(at path: String) throws(CurveKeyError) -> CurvePublicKey {
        let file = try open(path)
        let content = file.content.span
        let entries = try CurveKeyEntries(content, path: path)
        guard entries.secretKey == nil else {
            throw CurveKeyError(
                path,
                "expected a public key, found a secret one; give the file NAME.key in its place")
        }
        guard let range = entries.publicKey else {
            throw CurveKeyError(path, "expected a section curve with public-key, found none")
        }
        let bytes = range.map { content[$0] }
        guard let key = CurvePublicKey(String(decoding: bytes, as: UTF8.self)) else {
            throw CurveKeyError(path, "public-key: expected 40 characters of Z85, found others")
        }
        return key
    }

    /// Reads a key pair from a file that nobody else may read.
    package static func keyPair(at path: String) throws(CurveKeyError) -> CurveKeyPair {
        let file = try open(path, hint: makeKeys)
        let content = file.content.span
        let entries = try CurveKeyEntries(content, path: path)
        guard let range = entries.secretKey else {
            throw CurveKeyError(
                path, "expected secret-key, found none; give the file NAME.key_secret in its place")
        }
        do throws(SecretFileError) {
            try file.checkPermissions(remedy: "make new keys")
        } catch {
            throw CurveKeyError(error)
        }
        guard CurveKeyPair.isAvailable else { throw .unavailable(path) }
        let wrong = CurveKeyError(
            path, "secret-key: expected 40 characters of Z85, found others; restore the file")
        guard range.count == CurvePublicKey.textLength else { throw wrong }
        let text = SecretMemory(count: CurvePublicKey.textLength + 1)
        for (index, place) in range.enumerated() {
            unsafe text.bytes[index] = content[place]
        }
        guard let pair = CurveKeyPair(secretText: text) else { throw wrong }
        if let range = entries.publicKey {
            let bytes = range.map { content[$0] }
            guard String(decoding: bytes, as: UTF8.self) == pair.publicKey.description else {
                throw CurveKeyError(
                    path, "public-key does not belong to secret-key; restore the file")
            }
        }
        return pair
    }

    /// Writes `NAME.key` for others and `NAME.key_secret` for the owner alone; replaces no file.
    package static func write(_ pair: CurveKeyPair, to name: String) throws(CurveKeyError) {
        let secretPath = name + secretSuffix
        let publicPath = name + publicSuffix
        let text = pair.secretText()
        try create(secretPath, mode: 0o600) { file throws(SystemError) in
            try file.write(Array("\(secretBanner)curve\n".utf8).span)
            try file.write(publicLine(pair).span)
            try file.write(Array("    secret-key = \"".utf8).span)
            try file.write(text.span.extracting(droppingLast: 1))
            try file.write(Array("\"\n".utf8).span)
        }
        do throws(CurveKeyError) {
            try create(publicPath, mode: 0o644) { file throws(SystemError) in
                try file.write(Array("\(publicBanner)curve\n".utf8).span)
                try file.write(publicLine(pair).span)
            }
        } catch {
            SmallFile.remove(secretPath)
            throw error
        }
    }

    private static let secretBanner =
        "# ZeroMQ CURVE secret certificate. Whoever reads it can pass for its owner: show it to nobody.\n"
    private static let publicBanner =
        "# ZeroMQ CURVE public certificate. Give it to peers by a way on which nobody can replace it.\n"

    private static func publicLine(_ pair: CurveKeyPair) -> [UInt8] {
        Array("    public-key = \"\(pair.publicKey)\"\n".utf8)
    }

    // MARK: - Files

    private static let makeKeys = "; make it with: llorch-worker keys NAME"

    /// Opens a key file; `hint` is added where there is none.
    private static func open(
        _ path: String, hint: String = ""
    ) throws(CurveKeyError) -> SecretFile {
        do throws(SecretFileError) {
            return try SecretFile(path: path)
        } catch {
            throw CurveKeyError(error, hint: error.isOpenFailure ? hint : "")
        }
    }

    private static func create(
        _ path: String, mode: mode_t, _ write: (borrowing Descriptor) throws(SystemError) -> Void
    ) throws(CurveKeyError) {
        do throws(SystemError) {
            try SmallFile.create(path, mode: mode, write)
        } catch {
            throw CurveKeyError(
                path,
                error.code == EEXIST
                    ? "the file is there already and is not replaced; choose another name"
                    : error.reason)
        }
    }
}

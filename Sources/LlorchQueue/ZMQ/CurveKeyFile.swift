// Key files as CZMQ and pyzmq write them (https://rfc.zeromq.org/spec/4/): a section `curve` with `public-key`
// and, in the file that stays secret, `secret-key`. A strict reader of that much of ZPL, and a writer.
// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Why a key file cannot be used, without any part of a secret.
package struct CurveKeyError: Error, Sendable, Hashable, CustomStringConvertible {
    package var path: String
    package var reason: String

    package init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { "\(path): \(reason)" }

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
    /// - Throws: also for a file that holds a secret, which should not have come here.
    package static func publicKey(at path: String) throws(CurveKeyError) -> CurvePublicKey {
        let content = try SecretFile.contents(of: path)
        let entries = try CurveKeyEntries(content.span, path: path)
        guard entries.secretKey == nil else {
            throw CurveKeyError(
                path,
                "expected a public key, found a secret one; give the file NAME.key in its place")
        }
        guard let range = entries.publicKey else {
            throw CurveKeyError(path, "expected a section curve with public-key, found none")
        }
        let bytes = range.map { content.span[$0] }
        guard let key = CurvePublicKey(String(decoding: bytes, as: UTF8.self)) else {
            throw CurveKeyError(path, "public-key: expected 40 characters of Z85, found others")
        }
        return key
    }

    /// Reads a key pair from a file that nobody else may read.
    package static func keyPair(at path: String) throws(CurveKeyError) -> CurveKeyPair {
        var found = stat()
        let content = try SecretFile.contents(of: path, hint: makeKeys, &found)
        let entries = try CurveKeyEntries(content.span, path: path)
        guard let range = entries.secretKey else {
            throw CurveKeyError(
                path, "expected secret-key, found none; give the file NAME.key_secret in its place")
        }
        try SecretFile.check(found, path, remedy: "make new keys")
        guard CurveKeyPair.isAvailable else { throw .unavailable(path) }
        let wrong = CurveKeyError(
            path, "secret-key: expected 40 characters of Z85, found others; restore the file")
        guard range.count == CurvePublicKey.textLength else { throw wrong }
        let text = SecretMemory(count: CurvePublicKey.textLength + 1)
        for (index, place) in range.enumerated() {
            unsafe text.bytes[index] = content.span[place]
        }
        guard let pair = CurveKeyPair(secretText: text) else { throw wrong }
        if let range = entries.publicKey {
            let bytes = range.map { content.span[$0] }
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
        try create(secretPath, mode: 0o600) { descriptor in
            unsafe put(Array("\(secretBanner)curve\n".utf8), to: descriptor)
                && put(publicLine(pair), to: descriptor)
                && put(Array("    secret-key = \"".utf8), to: descriptor)
                && put(UnsafeRawPointer(text.bytes), text.count - 1, to: descriptor)
                && put(Array("\"\n".utf8), to: descriptor)
        }
        do throws(CurveKeyError) {
            try create(publicPath, mode: 0o644) { descriptor in
                put(Array("\(publicBanner)curve\n".utf8), to: descriptor)
                    && put(publicLine(pair), to: descriptor)
            }
        } catch {
            unsafe unlink(secretPath)
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

    private static func create(
        _ path: String, mode: mode_t, _ body: (Int32) -> Bool
    ) throws(CurveKeyError) {
        let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode)
        guard descriptor >= 0 else {
            let code = errno
            throw CurveKeyError(
                path,
                code == EEXIST
                    ? "the file is there already and is not replaced; choose another name"
                    : "\(ZMQError(rawValue: code))")
        }
        let isWritten = body(descriptor) && fsync(descriptor) == 0
        let code = errno
        close(descriptor)
        guard isWritten else {
            unsafe unlink(path)
            throw CurveKeyError(path, "\(ZMQError(rawValue: code))")
        }
    }

    private static func put(_ bytes: [UInt8], to descriptor: Int32) -> Bool {
        unsafe bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return true }
            return unsafe put(base, buffer.count, to: descriptor)
        }
    }

    private static func put(_ bytes: UnsafeRawPointer, _ count: Int, to descriptor: Int32) -> Bool {
        var done = 0
        while done < count {
            let result = unsafe Glibc.write(descriptor, bytes + done, count - done)
            if result < 0, errno == EINTR { continue }
            guard result > 0 else { return false }
            done += result
        }
        return true
    }
}

// Key files: what is read, what is refused with which words, and that no secret is among the words.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchQueue
import TestSupport
import Testing

@Suite struct CurveKeyFileTests {
    /// From https://rfc.zeromq.org/spec/32/ and libzmq's own examples: a pair that belongs together.
    static let publicText = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
    static let secretText = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs"

    /// As pyzmq writes it, comments, free-form metadata and all.
    static let secretFile = """
        #   ****  Generated on 2026-11-23 07:19:21.603055 by pyzmq  ****
        #   ZeroMQ CURVE **Secret** Certificate

        metadata
            place = rack 4 "left"
        curve
            public-key = "\(publicText)"
            secret-key = "\(secretText)"

        """

    private func write(
        _ content: String, _ name: String = "k", mode: mode_t = 0o600,
        in folder: TemporaryDirectory
    ) throws -> String {
        let path = "\(folder.path)/\(name)"
        let file = try #require(fopen(path, "w"))
        fputs(content, file)
        fclose(file)
        chmod(path, mode)
        return path
    }

    @Test func aPairIsWrittenAndReadBack() throws {
        let folder = try TemporaryDirectory()
        let pair = try #require(CurveKeyPair.generate())
        let name = "\(folder.path)/w1"
        try CurveKeyFile.write(pair, to: name)
        var status = stat()
        #expect(stat(name + ".key_secret", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        #expect(try CurveKeyFile.publicKey(at: name + ".key") == pair.publicKey)
        #expect(try CurveKeyFile.keyPair(at: name + ".key_secret").publicKey == pair.publicKey)
        #expect(throws: CurveKeyError.self) { try CurveKeyFile.write(pair, to: name) }
        // A public file that exists is enough to stop the writer, which then leaves no secret file behind.
        unlink(name + ".key_secret")
        #expect(throws: CurveKeyError.self) { try CurveKeyFile.write(pair, to: name) }
        #expect(access(name + ".key_secret", F_OK) != 0)
    }

    @Test func filesOfOtherToolsAreRead() throws {
        let folder = try TemporaryDirectory()
        let pair = try CurveKeyFile.keyPair(at: write(Self.secretFile, in: folder))
        #expect(pair.publicKey.description == Self.publicText)
        let lean = "curve\r\n  public-key=\"\(Self.publicText)\"\r\n"
        let path = try write(lean, "lean.key", mode: 0o644, in: folder)
        #expect(try CurveKeyFile.publicKey(at: path).description == Self.publicText)
    }

    @Test(arguments: [mode_t(0o644), 0o640, 0o604, 0o660, 0o601])
    func aSecretThatOthersMayReadIsRefused(mode: mode_t) throws {
        let folder = try TemporaryDirectory()
        let path = try write(Self.secretFile, mode: mode, in: folder)
        do throws(CurveKeyError) {
            _ = try CurveKeyFile.keyPair(at: path)
            Issue.record("mode \(String(mode, radix: 8)) was taken")
        } catch {
            #expect(error.reason.contains("found mode \(String(mode, radix: 8))"))
            #expect(error.reason.contains("chmod 600"))
        }
    }

    static let secretLine = "    secret-key = \"\(secretText)\"\n"
    @Test(arguments: [
        ("", "expected secret-key, found none"),
        ("metadata\n    a = b\n", "expected secret-key, found none"),
        ("curve\n    public-key = \"\(publicText)\"\n", "NAME.key_secret"),
        (secretText, "line 1: expected the section"),
        ("\(secretLine)", "line 1: expected the section metadata or curve first"),
        ("curve\ncurve\n", "line 2: expected the section metadata or curve, once each"),
        ("curve\n\(secretLine)\(secretLine)", "line 3: expected public-key or secret-key, once"),
        ("curve\n    secret-key = \(secretText)\n", "line 2:"),
        ("curve\n    secret-key = \"\(secretText)\n", "line 2:"),
        ("curve\n    secret-key = \"\(secretText)\" x\n", "line 2:"),
        ("curve\n    secret_key = \"\(secretText)\"\n", "line 2:"),
        ("curve\n    secret-key \"\(secretText)\"\n", "line 2:"),
        ("curve\n    secret-key = \"\"\n", "expected 40 characters of Z85"),
        ("curve\n    secret-key = \"\(secretText)a\"\n", "expected 40 characters of Z85"),
        (
            "curve\n    secret-key = \"\(secretText.dropLast())~\"\n",
            "expected 40 characters of Z85"
        ),
        (
            "curve\n    secret-key = \"\(secretText.dropLast())é\"\n",
            "expected 40 characters of Z85"
        ),
        ("curve\n    secret-key = \"#####################################%nS\"\n", "40 characters"),
        (
            "curve\n    public-key = \"\(secretText)\"\n\(secretLine)",
            "does not belong to secret-key"
        ),
        (String(repeating: "#", count: 8_193), "expected at most 8192 bytes, found 8193"),
    ])
    func whatIsNoKeyFileIsRefusedWithoutItsContent(content: String, words: String) throws {
        let folder = try TemporaryDirectory()
        let path = try write(content, in: folder)
        do throws(CurveKeyError) {
            _ = try CurveKeyFile.keyPair(at: path)
            Issue.record("taken: \(content)")
        } catch {
            #expect(error.path == path)
            #expect("\(error)".contains(words), "\(error)")
            #expect(!"\(error)".contains(Self.secretText.prefix(8)))
        }
    }

    @Test func noBytesMakeTheReaderTrap() throws {
        let folder = try TemporaryDirectory()
        var random = SplitMix(seed: 20_260_301)
        let file = Array(Self.secretFile.utf8)
        for round in 0..<2_000 {
            var bytes = Array(file[..<Int.random(in: 0...file.count, using: &random)])
            for _ in 0..<Int.random(in: 0...4, using: &random) where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] =
                    [0, 9, 10, 13, 32, 34, 35, 61, 255].randomElement(using: &random) ?? 0
            }
            let path = "\(folder.path)/k"
            let handle = try #require(fopen(path, "w"))
            fwrite(bytes, 1, bytes.count, handle)
            fclose(handle)
            chmod(path, 0o600)
            if let pair = try? CurveKeyFile.keyPair(at: path) {
                #expect(pair.publicKey.description == Self.publicText, "round \(round)")
            }
        }
    }

    @Test func aSecretIsNotAPublicKey() throws {
        let folder = try TemporaryDirectory()
        let path = try write(Self.secretFile, "k.key", in: folder)
        do throws(CurveKeyError) {
            _ = try CurveKeyFile.publicKey(at: path)
            Issue.record("taken")
        } catch {
            #expect(error.reason.hasPrefix("expected a public key, found a secret one"))
        }
    }

    @Test func filesThatAreNoneAreSaid() throws {
        let folder = try TemporaryDirectory()
        #expect(throws: CurveKeyError("/nowhere/k", "No such file or directory")) {
            try CurveKeyFile.publicKey(at: "/nowhere/k")
        }
        #expect(throws: CurveKeyError.self) { try CurveKeyFile.publicKey(at: folder.path) }
        let pipe = "\(folder.path)/k"
        #expect(mkfifo(pipe, 0o600) == 0)
        #expect(throws: CurveKeyError(pipe, "expected a file")) {
            try CurveKeyFile.publicKey(at: pipe)
        }
    }

    @Test func secretsAreInNoDescription() throws {
        let folder = try TemporaryDirectory()
        let pair = try CurveKeyFile.keyPair(at: write(Self.secretFile, in: folder))
        var dumped = "\(pair) \(String(reflecting: pair)) "
        dump(pair, to: &dumped)
        dump(QueueSecurity(keys: pair), to: &dumped)
        #expect(dumped.contains(Self.publicText))
        #expect(!dumped.contains(Self.secretText))
    }

    @Test func aDirectoryOfKeysIsRead() throws {
        let folder = try TemporaryDirectory()
        let source = AllowedKeys(path: folder.path)
        #expect(try source.load().isEmpty)
        var expected: Set<CurvePublicKey> = []
        for name in ["a", "b"] {
            let pair = try #require(CurveKeyPair.generate())
            try CurveKeyFile.write(pair, to: "\(folder.path)/\(name)")
            expected.insert(pair.publicKey)
        }
        #expect(try source.load() == expected)
        let one = AllowedKeys(path: "\(folder.path)/a.key")
        #expect(try one.load().count == 1)
        // A damaged file is an error: if it were passed over, its owner would be locked out without a word.
        _ = try write("curve\n", "k.key", in: folder)
        #expect(throws: CurveKeyError.self) { try source.load() }
        #expect(throws: CurveKeyError.self) { try AllowedKeys(path: "/nowhere").load() }
    }

    @Test func whatIsMissingOnTheCommandLineIsSaid() throws {
        let bound = try QueueEndpoint(parsing: "tcp://127.0.0.1:1", default: .bind)
        let connected = try QueueEndpoint(parsing: "tcp://127.0.0.1:1", default: .connect)
        func problem(_ secret: String?, _ allowed: String?, _ server: String?) -> String? {
            QueueKeyFiles(secretKey: secret, allowedKeys: allowed, serverKey: server)
                .problem(for: [bound, connected])
        }
        #expect(problem(nil, nil, nil) == nil)
        #expect(problem("s", "a", nil) == nil)
        #expect(problem("s", nil, "k")?.contains("--curve-allowed-keys") == true)
        #expect(problem(nil, "a", nil)?.contains("--curve-secret-key") == true)
        #expect(problem(nil, nil, "k")?.contains("--curve-secret-key") == true)
        let files = QueueKeyFiles(secretKey: "s", allowedKeys: nil, serverKey: nil)
        #expect(files.problem(for: [connected])?.contains("--curve-server-key") == true)
    }

    @Test func theOneAllowedKeyIsTheServersToo() throws {
        let folder = try TemporaryDirectory()
        let secret = try write(Self.secretFile, in: folder)
        let connected = try QueueEndpoint(parsing: "tcp://127.0.0.1:1", default: .connect)
        let peer = try #require(CurveKeyPair.generate())
        try CurveKeyFile.write(peer, to: "\(folder.path)/a")
        let files = QueueKeyFiles(
            secretKey: secret, allowedKeys: folder.path, serverKey: nil)
        #expect(try files.load(for: [connected])?.server == peer.publicKey)
        try CurveKeyFile.write(try #require(CurveKeyPair.generate()), to: "\(folder.path)/b")
        do throws(CurveKeyError) {
            _ = try files.load(for: [connected])
            Issue.record("one of two was taken")
        } catch {
            #expect(error.reason.contains("--curve-server-key"))
        }
    }
}

// Files that are read whole, replaced whole, or held as secrets: what is refused, and what a reader can see meanwhile.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import LlorchSystem
import Synchronization
import TestSupport
import Testing

@Suite(.timeLimit(.minutes(10))) struct FileTests {
    private let folder: TemporaryDirectory

    init() throws { folder = try TemporaryDirectory() }

    private func path(_ name: String) -> String { "\(folder.path)/\(name)" }

    // MARK: - RegularFile

    @Test func aFileIsReadWholeOrInSlices() throws {
        let path = try folder.write([1, 2, 3, 4, 5], to: "f")
        #expect(try RegularFile.contents(of: path, limit: 5) == [1, 2, 3, 4, 5])
        let file = try RegularFile(path: path)
        #expect(try file.bytes(at: 1, count: 3) == [2, 3, 4])
        #expect(file.size == 5)
        #expect(try RegularFile.contents(of: folder.write([], to: "empty"), limit: 0) == [])
    }

    @Test func whatIsNoRegularFileIsRefusedWithoutWaiting() throws {
        // Nobody writes to this pipe: opening it for reading would wait for ever.
        try folder.makeNamedPipe("pipe")
        try folder.makeDirectory("folder")
        try folder.makeLink("link", to: "folder")
        let problems: [(String, FileError.Problem)] = [
            ("pipe", .isNotRegular), ("folder", .isDirectory), ("link", .isDirectory),
            ("nothing", .missing), ("nothing/f", .missing),
        ]
        for (name, problem) in problems {
            let error = try #require(throws: FileError.self, "\(name)") {
                _ = try RegularFile(path: path(name))
            }
            #expect(error == FileError(path(name), problem))
            #expect("\(error)" == "\(path(name)): \(error.reason)")
        }
    }

    @Test func aFileBeyondTheLimitIsNotRead() throws {
        let path = try folder.write([1, 2, 3], to: "f")
        let error = try #require(throws: FileError.self) {
            try RegularFile.contents(of: path, limit: 2)
        }
        #expect(error.problem == .tooLarge(size: 3, limit: 2))
        #expect(error.reason == "has 3 bytes, expected at most 2")
    }

    @Test func aFileThatIsCutShortWhileItIsOpenIsAnError() throws {
        let path = try folder.write([1, 2, 3, 4, 5], to: "f")
        let file = try RegularFile(path: path)
        try folder.overwrite([1, 2], in: "f")
        let error = try #require(throws: FileError.self) { try file.bytes(at: 0, count: 5) }
        #expect(error.problem == .truncated(at: 2, size: 5))
        #expect(try file.bytes(at: 0, count: 2) == [1, 2])
    }

    // MARK: - SmallFile

    /// A reader meanwhile sees the old content or the new one, never a part.
    @Test func aReplacedFileIsOldOrNew() throws {
        let path = try folder.write(Self.content(0), to: "f")
        let reader = Reader(path: path)
        reader.start()
        for number in 1...500 {
            try SmallFile.replace(path, with: Self.content(UInt8(number % 200)))
        }
        #expect(reader.stop() == [])
        #expect(try RegularFile.contents(of: path, limit: 1 << 20) == Self.content(100))
        #expect(try PathKind(path: path + ".new") == .nothing)
    }

    /// Its length and every byte follow from one number.
    fileprivate static func content(_ number: UInt8) -> [UInt8] {
        [UInt8](repeating: number, count: 1 + Int(number) * 37)
    }

    @Test func aDraftThatAKilledProcessLeftIsNoHindrance() throws {
        let path = try folder.write("old", to: "f")
        try folder.write("a draft, longer than what follows", to: "f.new")
        try SmallFile.replace(path, with: Array("new".utf8))
        #expect(try RegularFile.contents(of: path, limit: 100) == Array("new".utf8))
        #expect(try Descriptor(opening: path, O_RDONLY).status().permissions == 0o600)
    }

    @Test func aReplacementThatCannotBeWrittenLeavesTheOldContent() throws {
        let path = try folder.write("old", to: "f")
        try folder.makeDirectory("f.new")
        #expect(throws: SystemError.self) { try SmallFile.replace(path, with: [1]) }
        #expect(try RegularFile.contents(of: path, limit: 100) == Array("old".utf8))
    }

    @Test func aCreatedFileReplacesNoneAndIsNotLeftInPart() throws {
        let path = path("f")
        let failure = SystemError("write", ENOSPC)
        #expect(throws: failure) {
            try SmallFile.create(path, mode: 0o644) { file throws(SystemError) in
                try file.write([1].span)
                throw failure
            }
        }
        #expect(try PathKind(path: path) == .nothing)
        try SmallFile.create(path, mode: 0o600) { file throws(SystemError) in
            try file.write([1, 2].span)
        }
        let error = try #require(throws: SystemError.self) {
            try SmallFile.create(path, mode: 0o600) { file throws(SystemError) in
                try file.write([3].span)
            }
        }
        #expect(error.code == EEXIST)
        #expect(try RegularFile.contents(of: path, limit: 2) == [1, 2])
    }

    // MARK: - SecretFile

    @Test func aSecretIsReadFromItsOwnersFileOnly() throws {
        let path = try folder.write("secret", to: "key")
        for mode: mode_t in [0o600, 0o400] {
            try #require(chmod(path, mode) == 0)
            let bytes = try SecretFile.bytes(of: path, remedy: "make another")
            #expect(bytes == Array("secret".utf8))
        }
        for mode: mode_t in [0o640, 0o604, 0o660, 0o644] {
            try #require(chmod(path, mode) == 0)
            let error = try #require(throws: SecretFileError.self) {
                try SecretFile.bytes(of: path, remedy: "make another")
            }
            #expect(error.reason.contains("found mode \(String(mode, radix: 8)); make another"))
            #expect(!error.isOpenFailure)
            #expect(!"\(error)".contains("secret"))
        }
    }

    @Test func whatIsNoSecretFileIsRefused() throws {
        let longest = try folder.write(
            [UInt8](repeating: 7, count: SecretFile.maximumBytes), to: "longest")
        #expect(try SecretFile(path: longest).content.count == SecretFile.maximumBytes)
        let longer = try folder.write(
            [UInt8](repeating: 7, count: SecretFile.maximumBytes + 1), to: "longer")
        try folder.makeNamedPipe("pipe")
        let reasons = [
            longer: "expected at most 8192 bytes, found 8193", folder.path: "expected a file",
            path("pipe"): "expected a file", path("nothing"): "No such file or directory",
        ]
        for (path, reason) in reasons {
            let error = try #require(throws: SecretFileError.self) {
                _ = try SecretFile(path: path)
            }
            #expect(error.reason == reason)
            #expect(error.isOpenFailure == path.hasSuffix("nothing"))
        }
    }

    // MARK: - Directory

    @Test func namesAreInOrderAndBounded() throws {
        for name in ["b", "a", "c"] { try folder.write("", to: name) }
        #expect(try Directory.names(in: folder.path) == ["a", "b", "c"])
        #expect(try Directory.names(in: folder.path, limit: 2).count == 2)
        #expect(throws: FileError(path("nothing"), .missing)) {
            try Directory.names(in: path("nothing"))
        }
    }
}

/// Reads a file again and again on a thread of its own.
private final class Reader: Sendable {
    private let path: String
    private let isOver = Atomic<Bool>(false)
    private let hasEnded = Gate()
    /// What was read and is no whole content.
    private let torn = Mutex<[[UInt8]]>([])

    init(path: String) { self.path = path }

    func start() {
        DetachedThread { [self] in
            while !isOver.load(ordering: .acquiring) {
                let bytes = (try? RegularFile.contents(of: path, limit: 1 << 20)) ?? []
                if bytes.first.map(FileTests.content) != bytes {
                    torn.withLock { $0.append(bytes) }
                }
            }
            hasEnded.open()
        }.start()
    }

    func stop() -> [[UInt8]] {
        isOver.store(true, ordering: .releasing)
        hasEnded.pass()
        return torn.withLock { $0 }
    }
}

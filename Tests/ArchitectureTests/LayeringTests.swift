// The shape of the sources, and for each rule a planted violation that it must find.
// SPDX-License-Identifier: Apache-2.0

import Testing

@Suite struct LayeringTests {
    private let sources: [SourceFile]

    /// Read once: every test case has an instance of its own.
    private static let all = Result { try SourceFile.all(below: "Sources") }

    init() throws {
        sources = try Self.all.get()
        try #require(sources.count > 50, "the sources were not found")
    }

    @Test func eachFolderImportsWhatItMay() {
        #expect(sources.flatMap(Rules.importViolations) == [])
    }

    @Test(arguments: [
        ("LlorchEngine/Layers/A.swift", "import Glibc"),
        ("LlorchEngine/Cache/A.swift", "import CLlorchKernels"),
        ("LlorchEngine/Tensor/A.swift", "package import LlorchProtocol"),
        ("LlorchEngine/Model/A.swift", "import Foundation"),
        ("LlorchEngine/Backend/A.swift", "import Logging"),
        ("LlorchEngine/New/A.swift", ""),
        ("LlorchSystem/A.swift", "import LlorchProtocol"),
        ("LlorchSystem/A.swift", "import Logging"),
        ("LlorchJSON/A.swift", "import LlorchSystem"),
        ("LlorchProtocol/Wire/A.swift", "import Glibc"),
        ("LlorchQueue/A.swift", ""),
        ("LlorchQueue/ZMQ/A.swift", "import Logging"),
        ("LlorchQueue/Addresses/A.swift", "import Glibc"),
        ("LlorchQueue/Records/A.swift", "import LlorchSystem"),
        ("LlorchQueue/Dispatcher/A.swift", "@preconcurrency import CZMQ"),
        ("LlorchQueue/Worker/A.swift", "import Glibc"),
        ("LlorchLog/A.swift", "import LlorchProtocol"),
        ("LlorchWorker/A.swift", "import ArgumentParser"),
        ("LlorchHTTP/A.swift", "internal import LlorchEngine"),
        ("LlorchHTTP/A.swift", "import Glibc"),
        ("llorch-worker/A.swift", "import NIOCore"),
        ("llorch-http-shim/A.swift", "internal import LlorchEngine"),
    ])
    func aForbiddenImportIsFound(path: String, line: String) {
        let file = SourceFile(path: "Sources/\(path)", text: "// Head.\n\n\(line)\n")
        #expect(Rules.importViolations(file).count == 1)
    }

    @Test func foldersUseOnlyThoseThatTheyMay() {
        #expect(Rules.folderViolations(sources) == [])
    }

    @Test(arguments: [
        ("Tensor", "KVCache"), ("Cache", "TransformerBlock"), ("Layers", "GPT2"),
        ("Layers", "ModelDirectory"), ("Model", "Tokenizer"), ("Model", "CPUBackend"),
        ("Sampling", "Tokenizer"), ("Tokenizer", "Sampler"), ("ModelFile", "CPUBackend"),
    ])
    func aTypeFromTheRightIsFound(folder: String, type: String) {
        let text = "struct Planted {\n    var member: [\(type)]  // \(type)\n}\n"
        let file = SourceFile(path: "Sources/LlorchEngine/\(folder)/Planted.swift", text: text)
        #expect(Rules.folderViolations(sources + [file]).count == 1)
    }

    @Test(arguments: [
        ("ZMQ", "QueueEndpoint"), ("Addresses", "Dispatcher"), ("Records", "ZMQSocket"),
        ("Records", "JobTable"), ("Dispatcher", "JobTable"), ("Dispatcher", "Outbox"),
        ("Worker", "Dispatcher"), ("Worker", "DispatcherWorker"), ("Worker", "ZMQMessage"),
    ])
    func oneSideOfTheQueueThatUsesTheOtherIsFound(folder: String, type: String) {
        let text = "struct Planted {\n    var member: [\(type)]  // \(type)\n}\n"
        let file = SourceFile(path: "Sources/LlorchQueue/\(folder)/Planted.swift", text: text)
        #expect(Rules.folderViolations(sources + [file]).count == 1)
    }

    @Test func aFolderWithoutARuleIsFound() {
        let file = SourceFile(path: "Sources/LlorchQueue/New/Planted.swift", text: "\n")
        #expect(Rules.folderViolations(sources + [file]).count == 1)
    }

    @Test func layersKnowNumbersOnly() {
        #expect(sources.flatMap(Rules.layerViolations) == [])
        let file = SourceFile(
            path: "Sources/LlorchEngine/Layers/A.swift", text: "let a: Tokenizer\n// A Tokenizer.\n"
        )
        #expect(Rules.layerViolations(file).count == 1)
    }

    @Test func unsafeCodeStaysWhereItIsListed() {
        #expect(sources.flatMap(Rules.unsafeViolations) == [])
    }

    @Test(arguments: [
        "unsafe f()", "a.withUnsafeBytes { $0 }", "let p: UnsafeRawPointer",
        "unsafeBitCast(a, to: B)",
        "span.unsafeLoadUnaligned(as: C.self)", "Span(_unsafeElements: a)", "let p: OpaquePointer",
        "nonisolated(unsafe) var a = 0",
    ])
    func unsafeCodeElsewhereIsFound(line: String) {
        let file = SourceFile(path: "Sources/LlorchEngine/Layers/A.swift", text: line)
        #expect(Rules.unsafeViolations(file).count == 1)
    }

    @Test(arguments: ["let isSafe = true", "safe f()", "// unsafe", "\"unsafe\""])
    func safeCodeIsNoViolation(line: String) {
        let file = SourceFile(path: "Sources/LlorchEngine/Layers/A.swift", text: line)
        #expect(Rules.unsafeViolations(file) == [])
    }

    @Test func theSystemIsCalledWhereThatIsListed() {
        #expect(sources.flatMap(Rules.systemCallViolations) == [])
        let importing = sources.filter { $0.imports.contains { $0.module == "Glibc" } }
        let unused = Rules.systemCalls.keys.filter { place in
            !importing.contains { $0.path.hasPrefix("Sources/\(place)") }
        }
        #expect(unused == [])
    }

    @Test(arguments: [
        "LlorchQueue/Worker/A.swift", "LlorchQueue/Addresses/A.swift", "LlorchHTTP/A.swift",
        "LlorchEngine/Tensor/A.swift", "LlorchWorker/A.swift", "llorch-worker/A.swift",
    ])
    func aCallOfTheSystemElsewhereIsFound(path: String) {
        let file = SourceFile(path: "Sources/\(path)", text: "package import Glibc\n")
        #expect(Rules.systemCallViolations(file).count == 1)
    }

    @Test func noListedPlaceIsEmpty() {
        let unused = Rules.unsafeCode.filter { place in
            !sources.contains { file in
                file.path.hasPrefix("Sources/\(place)")
                    && file.lines.contains { $0.contains(/[Uu]nsafe|OpaquePointer|&\w/) }
            }
        }
        #expect(unused == [])
    }

    @Test func filesAreShort() throws {
        let tests = try SourceFile.all(below: "Tests")
        #expect((sources + tests).flatMap(Rules.lengthViolations) == [])
        let file = SourceFile(
            path: "Sources/LlorchEngine/Layers/A.swift",
            text: String(repeating: "\n", count: Rules.maximumLength + 1))
        #expect(Rules.lengthViolations(file).count == 1)
    }

    @Test func nothingTrapsWhereItCouldThrow() {
        #expect(sources.flatMap(Rules.trapViolations) == [])
    }

    @Test(arguments: [
        "fatalError()", "try! f()", "a as! B", "let a = b!", "f()!.c", "a[0]! + 1", "var a: Int!",
    ])
    func aTrapIsFound(line: String) {
        let file = SourceFile(path: "Sources/LlorchQueue/A.swift", text: line)
        #expect(!Rules.trapViolations(file).isEmpty)
    }

    @Test(arguments: [
        "a != b", "!a && !b", "\"Hello!\"", "// never!", "f(!a)",
        "let text = \"\"\"\n  try!\n  \"\"\"",
    ])
    func whatOnlyLooksLikeATrapIsNot(line: String) {
        let file = SourceFile(path: "Sources/LlorchQueue/A.swift", text: line)
        #expect(Rules.trapViolations(file).isEmpty)
    }
}

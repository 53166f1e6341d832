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
        ("LlorchEngine/ModelFile/A.swift", "import Glibc"),
        ("LlorchEngine/Tokenizer/A.swift", "import Glibc"),
        ("LlorchEngine/Generation/A.swift", "import Glibc"),
        ("LlorchEngine/Measurement/A.swift", "import Logging"),
        ("LlorchEngine/New/A.swift", ""),
        ("LlorchEngine/A.swift", "public import Glibc"),
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
        ("LlorchWorker/A.swift", ""),
        ("LlorchWorker/Heart/A.swift", "import LlorchQueue"),
        ("LlorchWorker/Heart/A.swift", "import Glibc"),
        ("LlorchWorker/Link/A.swift", "import LlorchEngine"),
        ("LlorchWorker/Loop/A.swift", "import LlorchJSON"),
        ("LlorchWorker/Commands/A.swift", "import ArgumentParser"),
        ("LlorchHTTP/A.swift", "internal import LlorchEngine"),
        ("LlorchHTTP/A.swift", "import Glibc"),
        ("LlorchHTTP/Server/A.swift", "import Hummingbird"),
        ("LlorchHTTP/Streams/A.swift", "import NIOCore"),
        ("LlorchHTTP/Streams/A.swift", "import LlorchJSON"),
        ("LlorchHTTP/Queue/A.swift", "package import HTTPTypes"),
        ("LlorchHTTP/Queue/A.swift", "import HummingbirdCore"),
        ("LlorchHTTP/Dialects/Execute/A.swift", "import ArgumentParser"),
        ("LlorchCommandLine/A.swift", "import LlorchWorker"),
        ("LlorchCommandLine/A.swift", "import Glibc"),
        ("llorch-worker/A.swift", "import LlorchEngine"),
        ("llorch-http-shim/A.swift", "internal import LlorchEngine"),
        ("llorch-http-shim/A.swift", "import LlorchQueue"),
        ("llorch-http-shim/A.swift", "import Logging"),
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
        ("Layers", "ModelDirectory"), ("Model", "ModelDirectory"), ("Model", "Tokenizer"),
        ("Model", "CPUBackend"), ("ModelFile", "Sampler"), ("ModelFile", "Tokenizer"),
        ("Sampling", "Tokenizer"), ("Tokenizer", "Sampler"), ("ModelFile", "CPUBackend"),
        ("Generation", "PerplexityMeasurement"), ("Measurement", "CPUBackend"),
        ("Generation", "LanguageModel"),
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

    @Test(arguments: [
        ("Heart", "WorkerLink"), ("Link", "WorkerLoop"), ("Loop", "ServeCall"),
        ("Commands", "BootNumber"),
    ])
    func aRoomOfTheWorkerThatUsesALaterOneIsFound(folder: String, type: String) {
        let text = "struct Planted {\n    var member: [\(type)]  // \(type)\n}\n"
        let file = SourceFile(path: "Sources/LlorchWorker/\(folder)/Planted.swift", text: text)
        #expect(Rules.folderViolations(sources + [file]).count == 1)
    }

    @Test(arguments: [
        ("Streams", "ServerSentEvent"), ("Streams", "QueueService"), ("Streams", "Refusal"),
        ("Queue", "ExecuteDialect"), ("Queue", "Dialect"), ("Queue", "MetricsRoute"),
        ("Server", "QueueService"), ("Access", "ResponseStream"), ("Dialects", "ExecuteDialect"),
        ("Dialects/Execute", "HealthRoute"), ("Health", "ServerSentEvent"),
        ("Metrics", "HealthRoute"), ("New", "HealthRoute"),
    ])
    func aRoomOfTheHTTPServerThatUsesAnotherIsFound(folder: String, type: String) {
        let text = "struct Planted {\n    var member: [\(type)]  // \(type)\n}\n"
        let file = SourceFile(path: "Sources/LlorchHTTP/\(folder)/Planted.swift", text: text)
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
        "a.unsafeLoad(as: B.self)", "unsafeBitCast(a, to: B)", "Span(_unsafeElements: a)",
        "let p: OpaquePointer", "nonisolated(unsafe) var a = 0",
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

    @Test func onlyThePublicFaceIsPublic() {
        #expect(sources.flatMap(Rules.publicViolations) == [])
        let isPublic = Rules.publicFace.filter { name in
            sources.contains {
                $0.path == "Sources/\(name)" && $0.lines.contains { $0.contains("public ") }
            }
        }
        #expect(isPublic == Rules.publicFace)
        let file = SourceFile(
            path: "Sources/LlorchEngine/Model/A.swift", text: "public struct A {}\n// public face\n"
        )
        #expect(Rules.publicViolations(file).count == 1)
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

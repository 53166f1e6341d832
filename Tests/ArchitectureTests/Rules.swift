// The rules of docs/architecture.md as functions from sources to violations. They read, they judge
// nothing: which sources, and what must not be found, is LayeringTests.swift.
// SPDX-License-Identifier: Apache-2.0

/// One broken rule, in a sentence with file and line.
struct Violation: CustomStringConvertible, Hashable {
    let description: String

    init(_ file: SourceFile, line: Int, _ sentence: String) {
        description = "\(file.path):\(line): \(sentence)"
    }
}

enum Rules {
    /// What the files of a target, or of a folder of it, may import beside the standard library.
    static let imports: [String: Set<String>] = [
        "LlorchSystem": ["Glibc", "Synchronization"],
        "LlorchJSON": [],
        "LlorchProtocol": ["LlorchJSON"],
        // The kernels are C; pages for large matrices come from the system.
        "LlorchEngine/Tensor": ["CLlorchKernels", "Glibc"],
        "LlorchEngine/Cache": [],
        "LlorchEngine/Layers": [],
        "LlorchEngine/Model": [],
        "LlorchEngine/Sampling": [],
        "LlorchEngine/ModelFile": ["LlorchJSON", "LlorchProtocol", "Glibc"],
        "LlorchEngine/Tokenizer": ["LlorchJSON", "LlorchProtocol", "Glibc"],
        // exp(3) and log(3).
        "LlorchEngine/Backend": ["LlorchProtocol", "LlorchSystem", "Glibc"],
        "LlorchQueue/ZMQ": ["CZMQ", "Glibc", "LlorchSystem"],
        "LlorchQueue/Addresses": ["LlorchSystem"],
        "LlorchQueue/Records": ["LlorchProtocol"],
        "LlorchQueue/Dispatcher": ["LlorchProtocol", "LlorchSystem"],
        "LlorchQueue/Worker": ["LlorchProtocol", "LlorchSystem"],
        "LlorchLog": ["LlorchSystem", "Logging"],
        "LlorchWorker": [
            "LlorchEngine", "LlorchLog", "LlorchProtocol", "LlorchQueue", "LlorchSystem",
            "Logging", "Glibc",
        ],
        "LlorchHTTP": [
            "LlorchJSON", "LlorchLog", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "Logging",
            "FoundationEssentials", "HTTPTypes", "Hummingbird", "HummingbirdCore", "NIOCore",
            "NIOPosix", "ServiceLifecycle", "Synchronization", "UnixSignals",
        ],
        "llorch-worker": [
            "LlorchEngine", "LlorchJSON", "LlorchLog", "LlorchProtocol", "LlorchQueue",
            "LlorchSystem", "LlorchWorker", "ArgumentParser", "Logging", "Glibc",
        ],
        "llorch-http-shim": [
            "LlorchHTTP", "LlorchLog", "LlorchQueue", "LlorchSystem", "ArgumentParser", "Logging",
            "Glibc", "NIOCore", "ServiceLifecycle", "UnixSignals",
        ],
    ]

    /// Which folders of the engine a folder may use the types of.
    ///
    /// `Tensor → Cache → Layers → Model → Backend`; files, tokens and sampling join where they are needed.
    static let folders: [String: Set<String>] = [
        "Tensor": [],
        "Cache": ["Tensor"],
        "Layers": ["Tensor", "Cache"],
        "Sampling": ["Tensor"],
        "Tokenizer": ["ModelFile"],
        // Its files name the sizes and fill the matrices of a model.
        "ModelFile": ["Model", "Layers"],
        "Model": ["Tensor", "Cache", "Layers", "ModelFile"],
        "Backend": [
            "Tensor", "Cache", "Layers", "Model", "ModelFile", "Tokenizer", "Sampling",
        ],
    ]

    /// Which folders of the queue a folder may use the types of.
    ///
    /// `Dispatcher` and `Worker` are the two sides of the protocol; neither uses the other.
    static let queueFolders: [String: Set<String>] = [
        "ZMQ": [],
        "Addresses": ["ZMQ"],
        // What is remembered of jobs, on both sides and in the HTTP server's streams.
        "Records": [],
        "Dispatcher": ["ZMQ", "Addresses", "Records"],
        "Worker": ["Records"],
    ]

    /// Where code may touch memory without the compiler's protection, and why.
    static let unsafeCode: Set<String> = [
        "LlorchSystem",  // the calls of the operating system
        "LlorchEngine/Tensor",  // owners of buffers, and calls into the kernels
        "LlorchQueue/ZMQ",  // libzmq
        "LlorchEngine/ModelFile/ContentDigest.swift",  // words at any address
        "LlorchEngine/ModelFile/ReadOnlyFile.swift",  // read(2)
        "LlorchEngine/Tokenizer/TokenizerFile.swift",  // strerror(3)
        "LlorchJSON/JSONValue.swift",  // the bytes of a string, hashed
        "LlorchWorker/BootNumber.swift",  // read(2), write(2)
        "llorch-worker/Commands/ModelOptions.swift",  // readlink(2)
        "llorch-worker/Commands/BenchSession.swift",  // getrusage(2)
    ]

    /// Where the C library may be called, and why there: everything else goes through `LlorchSystem`.
    static let systemCalls: [String: String] = [
        "LlorchSystem": "the calls of the operating system",
        "LlorchQueue/ZMQ": "errno, which libzmq leaves, and the modes of key files",
        "LlorchEngine/Tensor/Matrix.swift": "pages for large matrices: madvise(2)",
        "LlorchEngine/Backend/PerplexityMeasurement.swift": "exp(3) and log(3)",
        "LlorchEngine/ModelFile/ReadOnlyFile.swift": "read(2)",
        "LlorchEngine/Tokenizer/TokenizerFile.swift": "strerror(3)",
        "LlorchWorker/BootNumber.swift": "read(2) and write(2)",
        "LlorchWorker/RunningNote.swift": "pread(2) and pwrite(2)",
        "LlorchWorker/Stub/CrashPoint.swift": "kill(2)",
        "LlorchWorker/Stub/StubBackend.swift": "usleep(3)",
        "llorch-worker/LlorchWorker.swift": "exit(3)",
        "llorch-worker/Commands/BenchSession.swift": "getrusage(2)",
        "llorch-worker/Commands/ModelOptions.swift": "readlink(2)",
        "llorch-http-shim/LlorchHTTPShim.swift": "exit(3)",
    ]

    static let maximumLength = 400

    static func importViolations(_ file: SourceFile) -> [Violation] {
        let place = imports["\(file.target)/\(file.folder)"] ?? imports[file.target]
        guard let allowed = place else {
            return [Violation(file, line: 1, "no rule says what this folder may import")]
        }
        return file.imports.filter { !allowed.contains($0.module) }.map {
            Violation(file, line: $0.line, "must not import \($0.module)")
        }
    }

    /// Uses of types of folders that a folder may not use.
    static func folderViolations(_ files: [SourceFile]) -> [Violation] {
        folderViolations(files, target: "LlorchEngine", folders)
            + folderViolations(files, target: "LlorchQueue", queueFolders)
    }

    private static func folderViolations(
        _ files: [SourceFile], target: String, _ folders: [String: Set<String>]
    ) -> [Violation] {
        let files = files.filter { $0.target == target }
        var home: [String: String] = [:]
        for file in files { for name in file.declaredTypes { home[name] = file.folder } }
        return files.flatMap { file -> [Violation] in
            guard let allowed = folders[file.folder] else {
                return [Violation(file, line: 1, "no rule says what this folder may use")]
            }
            return file.capitalizedWords.compactMap { word, line in
                guard let owner = home[word], owner != file.folder, !allowed.contains(owner)
                else { return nil }
                return Violation(file, line: line, "\(file.folder) must not use \(owner)'s \(word)")
            }
        }
    }

    /// Layers know numbers only: no names of weights, no files, no text, no jobs.
    static func layerViolations(_ file: SourceFile) -> [Violation] {
        guard file.target == "LlorchEngine", file.folder == "Layers" else { return [] }
        return words(
            in: file,
            matching:
                /\b(c_attn|c_proj|wte|wpe|[Tt]okenizer|Vocabulary|GenerationJob|Logger|print)\b/
        ) { "layers must not mention \($0)" }
    }

    static func systemCallViolations(_ file: SourceFile) -> [Violation] {
        guard places(of: file).allSatisfy({ systemCalls[$0] == nil }) else { return [] }
        return file.imports.filter { $0.module == "Glibc" }.map {
            Violation(file, line: $0.line, "must not import Glibc; use LlorchSystem")
        }
    }

    /// The names by which a list may mean a file: its target, its folder, itself.
    private static func places(of file: SourceFile) -> [String] {
        let name = file.path.split(separator: "/").dropFirst().joined(separator: "/")
        return [file.target, "\(file.target)/\(file.folder)", name]
    }

    /// Keywords, types and functions that give up the compiler's protection: `unsafe`, `UnsafePointer`,
    /// `withUnsafeBytes`, `unsafeBitCast`, `_unsafeElements`.
    static func unsafeViolations(_ file: SourceFile) -> [Violation] {
        guard unsafeCode.isDisjoint(with: places(of: file)) else { return [] }
        return words(in: file, matching: /\b_*unsafe\w*|\b\w*Unsafe\w*|\bOpaquePointer\b/) {
            "\($0) outside the list of files that may use it"
        }
    }

    static func lengthViolations(_ file: SourceFile) -> [Violation] {
        file.length <= maximumLength
            ? [] : [Violation(file, line: file.length, "longer than \(maximumLength) lines")]
    }

    /// What ends the process where an error should be thrown.
    static func trapViolations(_ file: SourceFile) -> [Violation] {
        let traps = /\bfatalError\b|\btry!|\bas!|[\w)\]]!(?![=\w])|:\s*\w+!/
        return words(in: file, matching: traps) { "\($0) can end the process" }
    }

    private static func words<Output>(
        in file: SourceFile, matching pattern: Regex<Output>, sentence: (Substring) -> String
    ) -> [Violation] {
        file.lines.enumerated().flatMap { index, line in
            // `.simple`: Unicode's rule sees one word in `a.withUnsafeBytes`.
            line.matches(of: pattern.wordBoundaryKind(.simple)).map {
                Violation(file, line: index + 1, sentence(line[$0.range]))
            }
        }
    }
}

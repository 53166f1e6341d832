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
        "LlorchSystem": ["CLlorchSystem", "Glibc", "Synchronization"],
        "LlorchJSON": [],
        "LlorchProtocol": ["LlorchJSON"],
        // The public face: files directly in the target.
        "LlorchEngine/": ["LlorchProtocol", "Synchronization"],
        // The kernels are C; pages for large matrices come from the system.
        "LlorchEngine/Tensor": ["CLlorchKernels", "Glibc"],
        "LlorchEngine/Cache": [],
        "LlorchEngine/Layers": [],
        "LlorchEngine/Model": [],
        "LlorchEngine/Sampling": [],
        "LlorchEngine/ModelFile": ["LlorchJSON", "LlorchSystem"],
        "LlorchEngine/Tokenizer": ["LlorchJSON", "LlorchProtocol", "LlorchSystem"],
        "LlorchEngine/Generation": ["LlorchProtocol", "LlorchSystem"],
        // exp(3): a perplexity is no result that must be the same on every machine.
        "LlorchEngine/Measurement": ["LlorchProtocol", "LlorchSystem", "Glibc"],
        "LlorchQueue/ZMQ": ["CZMQ", "Glibc", "LlorchSystem"],
        "LlorchQueue/Addresses": ["LlorchSystem"],
        "LlorchQueue/Records": ["LlorchProtocol"],
        "LlorchQueue/Dispatcher": ["LlorchProtocol", "LlorchSystem"],
        "LlorchQueue/Worker": ["LlorchProtocol", "LlorchSystem"],
        "LlorchLog": ["LlorchSystem", "Logging"],
        "LlorchConfiguration": ["Configuration", "LlorchSystem", "Yams"],
        "LlorchWorker/Heart": ["LlorchProtocol", "LlorchSystem", "Logging"],
        "LlorchWorker/Link": [
            "LlorchLog", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "Logging",
        ],
        "LlorchWorker/Loop": [
            "LlorchEngine", "LlorchLog", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "Logging",
        ],
        "LlorchWorker/Commands": [
            "LlorchEngine", "LlorchJSON", "LlorchLog", "LlorchProtocol", "LlorchQueue",
            "LlorchSystem", "Logging",
        ],
        // What waits for clients, and the queue's thread: neither HTTP nor the network.
        "LlorchHTTP/Streams": ["LlorchProtocol", "LlorchQueue", "Synchronization"],
        "LlorchHTTP/Queue": [
            "LlorchLog", "LlorchProtocol", "LlorchQueue", "LlorchSystem", "Logging",
            "ServiceLifecycle", "Synchronization",
        ],
        "LlorchHTTP": [
            "LlorchConfiguration", "LlorchJSON", "LlorchLog", "LlorchProtocol", "LlorchQueue",
            "LlorchSystem", "Logging",
            "FoundationEssentials", "HTTPTypes", "HummingbirdCore", "NIOCore", "NIOHTTP1",
            "NIOPosix", "ServiceLifecycle", "Synchronization", "UnixSignals",
        ],
        "LlorchCommandLine": [
            "ArgumentParser", "FoundationEssentials", "LlorchLog", "LlorchQueue", "LlorchSystem",
            "Logging",
        ],
        "llorch-worker": ["ArgumentParser", "LlorchCommandLine", "LlorchWorker"],
        "llorch-http-shim": [
            "ArgumentParser", "LlorchCommandLine", "LlorchConfiguration", "LlorchHTTP",
        ],
    ]

    /// The folders of the engine, in order.
    ///
    /// A folder uses the types only of folders to its left. Files directly in the target may use all.
    static let engineFolders = [
        "Tensor", "Cache", "Layers", "Model", "ModelFile", "Sampling", "Tokenizer", "Generation",
        "Measurement",
    ]

    /// Folders that use fewer than all folders to their left: numbers do not know text, text does not know numbers,
    /// and a measurement runs no job.
    static let narrowFolders: [String: Set<String>] = [
        "Sampling": ["Tensor"],
        "Tokenizer": ["ModelFile"],
        "Measurement": ["Tensor", "Cache", "Layers", "Model", "Tokenizer"],
    ]

    /// Which folders of the engine a folder may use the types of; files directly in the target use all.
    static let folders: [String: Set<String>] = {
        var folders = ["": Set(engineFolders)]
        for (place, folder) in engineFolders.enumerated() {
            folders[folder] = narrowFolders[folder] ?? Set(engineFolders[..<place])
        }
        return folders
    }()

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

    /// Which folders of the worker a folder may use the types of.
    ///
    /// `Heart → Link → Loop → Commands`: what the worker tells of itself, its sockets, its life, its program.
    static let workerFolders: [String: Set<String>] = [
        "Heart": [],
        "Link": ["Heart"],
        "Loop": ["Heart", "Link"],
        "Commands": ["Link", "Loop"],
    ]

    /// Which folders of the HTTP server a folder may use the types of; what lies in none wires them all.
    ///
    /// Streams and queue know no dialect, so that a second one needs nothing of them.
    static let httpFolders: [String: Set<String>] = [
        "Streams": [],
        "Queue": ["Streams"],
        // Connections, requests and refusals; it knows no job.
        "Server": [],
        "Access": ["Server"],
        "Dialects": ["Server", "Streams", "Queue"],
        "Dialects/Execute": ["Dialects", "Server", "Streams", "Queue"],
        "Dialects/OpenAI": ["Dialects", "Server", "Streams", "Queue"],
        "Description": [],
        "Health": ["Server", "Queue"],
        "Metrics": ["Server", "Queue"],
        "Callback": ["Server", "Queue"],
        "Shutdown": ["Server"],
        // Files only: it knows no job, and the page asks the other routes as every client does.
        "Page": [],
        "": [
            "Access", "Callback", "Description", "Dialects", "Dialects/Execute", "Dialects/OpenAI",
            "Health", "Metrics", "Page", "Queue", "Server", "Shutdown", "Streams",
        ],
    ]

    /// Where code may touch memory without the compiler's protection, and why.
    static let unsafeCode: Set<String> = [
        "LlorchSystem",  // the calls of the operating system
        "LlorchEngine/Tensor",  // owners of buffers, and calls into the kernels
        // Numbers as bytes, read and digested without a copy.
        "LlorchEngine/Model/GPT2Weights.swift",
        "LlorchEngine/ModelFile/ContentDigest.swift",
        "LlorchEngine/ModelFile/ModelFile.swift",
        "LlorchEngine/ModelFile/StoredTensor.swift",
        "LlorchQueue/ZMQ",  // libzmq
        "LlorchJSON/JSONValue.swift",  // the bytes of a string, hashed
    ]

    /// Where the C library may be called, and why there: everything else goes through `LlorchSystem`.
    static let systemCalls: [String: String] = [
        "LlorchSystem": "the calls of the operating system",
        "LlorchQueue/ZMQ": "errno, which libzmq leaves, and the modes of key files",
        "LlorchEngine/Tensor/Matrix.swift": "pages for large matrices: mmap(2), madvise(2)",
        "LlorchEngine/Measurement": "exp(3) and log(3)",
    ]

    /// What other packages may use.
    static let publicFace: Set<String> = [
        "LlorchEngine/LanguageModel.swift", "LlorchEngine/Generation.swift",
        "LlorchEngine/LanguageModelError.swift",
    ]

    static let maximumLength = 400

    static func importViolations(_ file: SourceFile) -> [Violation] {
        let place =
            imports["\(file.target)/\(file.innerFolder)"] ?? imports[
                "\(file.target)/\(file.folder)"]
            ?? imports[file.target]
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
            + folderViolations(files, target: "LlorchWorker", workerFolders)
            + folderViolations(files, target: "LlorchHTTP", httpFolders)
    }

    private static func folderViolations(
        _ files: [SourceFile], target: String, _ folders: [String: Set<String>]
    ) -> [Violation] {
        let files = files.filter { $0.target == target }
        func room(of file: SourceFile) -> String {
            folders[file.innerFolder] == nil ? file.folder : file.innerFolder
        }
        var home: [String: String] = [:]
        for file in files { for name in file.declaredTypes { home[name] = room(of: file) } }
        return files.flatMap { file -> [Violation] in
            let here = room(of: file)
            guard let allowed = folders[here] else {
                return [Violation(file, line: 1, "no rule says what this folder may use")]
            }
            return file.capitalizedWords.compactMap { word, line in
                guard let owner = home[word], owner != here, !allowed.contains(owner)
                else { return nil }
                let whose = owner.isEmpty ? "the public face" : owner
                return Violation(file, line: line, "\(here) must not use \(word) of \(whose)")
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

    /// `public` is for the few files that other packages may use; all else is `package` or narrower.
    static func publicViolations(_ file: SourceFile) -> [Violation] {
        let name = file.path.split(separator: "/").dropFirst().joined(separator: "/")
        guard !publicFace.contains(name) else { return [] }
        return words(in: file, matching: /\bpublic (?!import\b)/) { "\($0)outside the public face" }
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

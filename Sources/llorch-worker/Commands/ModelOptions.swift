// The options every command shares: which model, in which precision, at which instruction-set level.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc
import LlorchEngine
import LlorchWorker

extension Precision: ExpressibleByArgument {}
extension InstructionSet: ExpressibleByArgument {}

struct ModelOptions: ParsableArguments {
    @Option(help: "A Hugging Face GPT-2 directory or a GGUF file; the demo model if not given.")
    var model: String?

    @Option(help: "How weights are held in memory.")
    var precision: Precision = .f32

    @Option(
        help: """
            Instruction set of the kernels; the best this processor has if not given. \
            Never changes a result.
            """)
    var isa: InstructionSet?

    /// Loads with a progress bar on a terminal.
    func load(progress: (Double) throws -> Void = { _ in }) throws -> LoadedModel {
        let bar = ProgressBar("loading \(try path())")
        defer { bar.clear() }
        return try LoadedModel(path: path(), precision: precision, kernels: kernels()) { fraction in
            bar.update(fraction)
            try progress(fraction)
        }
    }

    func path() throws -> String { try model ?? DemoModel.path() }

    func kernels() throws -> Kernels {
        let level = isa ?? .best
        guard let kernels = Kernels(level) else {
            let able = InstructionSet.allCases.filter(\.isSupported).map(\.rawValue)
            throw CommandFailure(
                "this processor cannot run --isa \(level.rawValue); it can run "
                    + able.joined(separator: ", "))
        }
        return kernels
    }
}

/// The model that comes with llorch.
enum DemoModel {
    /// Looks beside the executable's parents, as in a checkout (models/) and an installation (share/llorch/).
    static func path() throws -> String {
        let name = "models/shakespeare"
        var places = [name]
        if let executable = executablePath() {
            var parents = executable.split(separator: "/")
            while parents.popLast() != nil {
                let parent = "/" + parents.joined(separator: "/")
                places += ["\(parent)/\(name)", "\(parent)/share/llorch/\(name)"]
            }
        }
        guard let place = places.first(where: { access($0 + "/config.json", R_OK) == 0 }) else {
            throw CommandFailure(
                "the demo model (\(name)) is neither in this directory nor beside the program; "
                    + "name a model with --model")
        }
        return place
    }

    private static func executablePath() -> String? {
        var buffer = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = buffer.withUnsafeMutableBytes { buffer in
            buffer.baseAddress.map { readlink("/proc/self/exe", $0, buffer.count) } ?? 0
        }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }
}

/// Makes a mistake in an option one of the command line, with the usage and exit code 2.
func validated<Options>(_ make: () throws(CommandFailure) -> Options) throws -> Options {
    do {
        return try make()
    } catch {
        throw ValidationError(error.description)
    }
}

// The options that every command with a model has. What they mean: LlorchWorker/Commands/ModelChoice.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker

struct ModelOptions: ParsableArguments {
    @Option(parsing: .unconditional, help: ArgumentHelp(ModelOptions.modelHelp))
    var model: String?

    @Option(
        help: """
            How weights are held in memory; auto holds them as the model's file stores them, in f32 where \
            nothing less is exact. (values: \(ModelChoice.precisionNames))
            """)
    var precision = ModelChoice.standardPrecision

    @Option(
        help: """
            Instruction set of the kernels; the best that this processor has is the default. Never changes \
            a result. (values: \(ModelChoice.instructionSetNames))
            """)
    var isa: String?

    /// For commands that need only a part of the model, and have no other option of it.
    static let modelHelp =
        "A Hugging Face GPT-2 directory or a GGUF file; the default is the demo model."

    func validate() throws { _ = try choice() }

    func choice() throws -> ModelChoice {
        try Program.checkUsage {
            try ModelChoice(path: model, precision: precision, isa: isa)
        }
    }
}

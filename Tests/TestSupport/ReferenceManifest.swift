// What manifest.json beside the reference arrays says. Written by Tools/reference/export.py.
// SPDX-License-Identifier: Apache-2.0

package import Foundation
package import LlorchProtocol

package struct ReferenceManifest: Sendable, Decodable {
    package var model: String
    package var generator: Generator
    /// SHA-256 of the model's files, hexadecimal, by name.
    package var modelFiles: [String: String]
    package var temperatures: [Float]
    package var prompts: [Prompt]
    package var arrays: [Entry]

    package struct Generator: Sendable, Decodable {
        package var python: String
        package var packages: [String: String]
    }

    package struct Prompt: Sendable, Decodable {
        package var name: String
        /// Nil where the model has no tokenizer.
        package var text: String?
        package var ids: [TokenID]
        package var continuation: Continuation
    }

    /// Greedy tokens; ends before the first step at which the best two logits are nearly equal.
    package struct Continuation: Sendable, Decodable {
        package var ids: [TokenID]
        package var text: String?
        /// `MAX_TOKENS`, or `EOS` where an end of text follows, which is not among the ids.
        package var stopReason: String
    }

    package struct Entry: Sendable, Decodable {
        package var file: String
        package var reference: String
        package var fault: String?
        package var prompt: String
        package var point: String
        package var layer: Int?
        package var firstRow: Int
        package var shape: [Int]
        package var sha256: String
    }

    package init(contentsOf url: URL) throws {
        self = try JSONDecoder().decode(ReferenceManifest.self, from: Data(contentsOf: url))
    }
}

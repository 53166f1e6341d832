// What a job continues: a text, or the tokens of one. Which of them are allowed: Wire/JobValidation.swift.
// SPDX-License-Identifier: Apache-2.0

/// The beginning that a job's answer follows.
package enum Prompt: Sendable, Hashable {
    /// 1 to 32,768 Unicode scalars, which the worker turns into tokens.
    case text(String)
    /// 1 to 16,384 ids of the model's vocabulary.
    case ids([TokenID])

    /// Memory beside the value itself.
    package var bytes: Int {
        switch self {
        case .text(let text): text.utf8.count
        case .ids(let ids): MemoryLayout<TokenID>.stride * ids.count
        }
    }
}

extension Prompt: ExpressibleByStringLiteral {
    package init(stringLiteral text: String) {
        self = .text(text)
    }
}

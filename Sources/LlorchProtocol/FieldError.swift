// One thing wrong with one field of a request. The checks themselves: Wire/JobValidation.swift.
// SPDX-License-Identifier: Apache-2.0

/// An entry of the `errors` array of a refused request; clients may compare its texts, so they do not change.
package struct FieldError: Error, Sendable, Hashable {
    /// The wire name, `max_tokens`.
    package var field: String
    /// The rule that was broken, `range(1..=2048)`.
    package var constraint: String
    package var message: String
    /// What was found, as text; absent where it would echo content (prompt, stop).
    package var value: String?

    package init(field: String, constraint: String, message: String, value: String? = nil) {
        self.field = field
        self.constraint = constraint
        self.message = message
        self.value = value
    }
}

// Text from outside, made safe for a log: one line, nothing that a terminal obeys, not long.
// Which texts are escaped, and how a line is put together: LlorchLog.
// SPDX-License-Identifier: Apache-2.0

package enum LogText {
    /// Characters of a value that are kept: a path of ours fits, and a job's id is recognised by less.
    package static let valueLength = 256
    /// Characters of a message that are kept; messages are our own sentences, but may quote other programs.
    package static let messageLength = 1_024

    /// The beginning of `text`, with everything escaped that could break a line or deceive its reader.
    ///
    /// Escaped are control characters, ESC among them, white space but the plain space, line and paragraph
    /// separators, invisible marks (those that change the direction of writing among them), quotes where
    /// `escapingQuotes`, and the backslash, so that no text looks like an escape. An ellipsis stands for what is
    /// cut off.
    package static func safe(
        _ text: String, length: Int = valueLength, escapingQuotes: Bool = true
    ) -> String {
        var result = ""
        // By scalars: one character can have any number of them.
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < length else { return result + "…" }
            count += 1
            if mustEscape(scalar, escapingQuotes) {
                append(scalar, to: &result)
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func mustEscape(_ scalar: Unicode.Scalar, _ escapingQuotes: Bool) -> Bool {
        switch scalar {
        case "\\": true
        case "\"", "'": escapingQuotes
        default: isHostile(scalar)
        }
    }

    /// Whether a character could break a line, deceive its reader, or command a terminal.
    package static func isHostile(_ scalar: Unicode.Scalar) -> Bool {
        if scalar == " " { return false }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .spaceSeparator, .surrogate,
            .privateUse, .unassigned:
            return true
        default:
            return scalar.properties.isDefaultIgnorableCodePoint
        }
    }

    /// `\n`, `\r`, `\t`, a backslash before quotes and backslashes, and `\u{…}` for the rest.
    private static func append(_ scalar: Unicode.Scalar, to result: inout String) {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\\", "\"", "'": result += "\\" + String(scalar)
        default: result += "\\u{" + String(scalar.value, radix: 16, uppercase: true) + "}"
        }
    }
}

// Text from outside, made safe for a log: one line, no control characters, not long.
// SPDX-License-Identifier: Apache-2.0

package enum LogText {
    /// At most 64 characters, with everything that could break a line escaped.
    package static func safe(_ text: String) -> String {
        let start = text.prefix(64)
        let escaped = start.unicodeScalars.map { scalar in
            scalar.properties.isWhitespace || scalar == "\"" || scalar == "\\"
                ? scalar.escaped(asASCII: true) : scalar.escaped(asASCII: false)
        }
        return escaped.joined() + (start.endIndex < text.endIndex ? "…" : "")
    }
}

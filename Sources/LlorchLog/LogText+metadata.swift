// A value of a log line's metadata. SafeLogHandler escapes and cuts every value, so that this one changes nothing.
// SPDX-License-Identifier: Apache-2.0

package import LlorchSystem
package import Logging

extension LogText {
    /// The same as `"\(text)"`.
    package static func metadata(_ text: String) -> Logger.MetadataValue { .string(text) }
}

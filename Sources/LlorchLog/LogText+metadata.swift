// Text from outside as the value of a log line's metadata.
// SPDX-License-Identifier: Apache-2.0

package import LlorchSystem
package import Logging

extension LogText {
    package static func metadata(_ text: String) -> Logger.MetadataValue {
        .string(safe(text))
    }
}

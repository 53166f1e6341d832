// What a command tells the person who typed it when the command cannot be carried out.
// SPDX-License-Identifier: Apache-2.0

/// A sentence for the person at the command line.
package struct CommandFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}

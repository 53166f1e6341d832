// Arguments that are not UTF-8: names of files may be any bytes, all other arguments are text.
// How such bytes are spelled: LlorchSystem/PathText.swift.
// SPDX-License-Identifier: Apache-2.0

package import ArgumentParser
import LlorchSystem

package enum ArgumentBytes {
    /// The options whose values are names of files, or of directories.
    package static let fileOptions: Set<String> = [
        "--model", "--prompt-file", "--file", "--tokenizer", "--state-directory", "--token-file",
        "--config",
        "--curve-secret-key", "--curve-allowed-keys", "--curve-server-key",
    ]
    /// The command whose argument is the name of a file.
    private static let fileCommand = "keys"

    /// - Parameter arguments: as `ProcessArguments.current()` gives them.
    /// - Throws: for the first argument that is neither text nor the name of a file.
    package static func check(_ arguments: [String]) throws(ValidationError) {
        for (index, argument) in arguments.enumerated()
        where !PathText.isPlain(argument) && !isFile(argument, behind: arguments[..<index]) {
            throw ValidationError(
                "argument \(index + 1), '\(PathText.shown(argument))', is not UTF-8; only names of "
                    + "files may be other bytes")
        }
    }

    private static func isFile(_ argument: String, behind before: ArraySlice<String>) -> Bool {
        if let end = argument.firstIndex(of: "="), fileOptions.contains(String(argument[..<end])) {
            return true
        }
        if before.first == fileCommand { return true }
        // --tokenizer has several values.
        return before.last { $0.hasPrefix("--") }.map(fileOptions.contains) ?? false
    }
}

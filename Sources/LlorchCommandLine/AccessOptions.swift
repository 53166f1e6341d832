// The options that say who may reach the sockets of LLQ/1: CURVE keys, or none.
// Which combinations make sense, and what is in the key files, is checked in LlorchQueue.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
package import LlorchQueue

package struct AccessOptions: ParsableArguments {
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Key pair of this process, made by `llorch-worker keys`; turns CURVE on.",
            valueName: "file"))
    var curveSecretKey: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Public keys of the processes that may connect: a key file, or a directory of *.key files, \
            which is read again when a process connects.
            """, valueName: "path"))
    var curveAllowedKeys: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            """
            Public key of the process that this one connects to. If exactly one key is allowed, that \
            key is the default.
            """, valueName: "file"))
    var curveServerKey: String?

    @Flag(
        help: """
            Allow addresses beyond this machine without keys or token. Whoever reaches such an address \
            may then use it.
            """)
    var insecureBind = false

    package init() {}

    /// The key files named; none of them has been read.
    package var keyFiles: QueueKeyFiles {
        QueueKeyFiles(
            secretKey: curveSecretKey, allowedKeys: curveAllowedKeys, serverKey: curveServerKey)
    }

    /// The options that were given, by their names without dashes, for a program that merges them with settings
    /// of other places.
    package var given: [String: [String]] {
        var given: [String: [String]] = [:]
        for (name, value) in [
            ("curve-secret-key", curveSecretKey), ("curve-allowed-keys", curveAllowedKeys),
            ("curve-server-key", curveServerKey), ("insecure-bind", insecureBind ? "true" : nil),
        ] {
            given[name] = value.map { [$0] }
        }
        return given
    }

    /// Whether `--insecure-bind` was given.
    package var isInsecureBind: Bool { insecureBind }

    /// Whether queue addresses may be bound where other machines reach them.
    package var mayBeExposed: Bool { keyFiles.isUsed || insecureBind }
}

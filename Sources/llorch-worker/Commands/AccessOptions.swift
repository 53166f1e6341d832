// The options of who may reach the sockets. What they mean is checked in LlorchQueue, for the shim as well.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchQueue

struct AccessOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The key pair of this worker, from `llorch-worker keys`; turns CURVE on.",
            valueName: "file"))
    var curveSecretKey: String?

    @Option(
        help: ArgumentHelp(
            """
            Who may connect: a public key file, or a directory of *.key files, which is read again \
            when someone connects.
            """, valueName: "path"))
    var curveAllowedKeys: String?

    @Option(
        help: ArgumentHelp(
            "The public key of the dispatcher; the allowed one if there is only one.",
            valueName: "file"))
    var curveServerKey: String?

    @Flag(
        help: "Lets addresses be bound beyond this machine without keys. Anyone may then send jobs."
    )
    var insecureBind = false

    var files: QueueKeyFiles {
        QueueKeyFiles(
            secretKey: curveSecretKey, allowedKeys: curveAllowedKeys, serverKey: curveServerKey)
    }

    var allowsExposure: Bool { files.isUsed || insecureBind }

    func validate(for endpoints: [QueueEndpoint]) throws {
        if let problem = files.problem(for: endpoints) { throw ValidationError(problem) }
    }
}

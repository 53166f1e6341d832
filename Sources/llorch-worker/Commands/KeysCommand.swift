// Makes the key pairs with which workers and dispatchers know each other on other machines.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchQueue
import LlorchSystem
import LlorchWorker

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Makes a key pair for CURVE, or shows the public key of one.",
        discussion: """
            Writes NAME.key_secret, which only its owner may read and which stays where it is made, \
            and NAME.key, which goes to the other machines. Prints the public key. Never replaces a \
            file. The files are those of CZMQ and pyzmq (zmq.auth).

            EXAMPLES
              llorch-worker keys w1
              llorch-worker keys /etc/llorch/shim
              llorch-worker keys --show w1
            """)

    @Argument(
        help: "The files without their suffixes, with a directory where they belong elsewhere.")
    var name: String

    @Flag(help: "Prints the public key of a pair that is there, and makes none.")
    var show = false

    func validate() throws {
        guard !name.isEmpty, !name.hasSuffix("/") else {
            throw ValidationError("NAME must name a file, for example keys/w1")
        }
        for suffix in [CurveKeyFile.publicSuffix, CurveKeyFile.secretSuffix]
        where name.hasSuffix(suffix) {
            throw ValidationError("NAME \(name): leave out \(suffix); it is added")
        }
    }

    func run() throws {
        if show {
            Output.write("\(try CurveKeyFile.publicKey(at: name + CurveKeyFile.publicSuffix))\n")
            return
        }
        guard let pair = CurveKeyPair.generate() else {
            throw CommandFailure(
                "this libzmq was built without CURVE; install one with libsodium, as Debian's is")
        }
        try CurveKeyFile.write(pair, to: name)
        Output.write("\(pair.publicKey)\n")
        Output.standardError(
            "wrote \(name)\(CurveKeyFile.secretSuffix) (keep it here) and "
                + "\(name)\(CurveKeyFile.publicSuffix) (give it to peers)\n")
    }
}

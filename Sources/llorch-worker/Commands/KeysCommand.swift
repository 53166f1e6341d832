// The arguments of `keys`. What the command does: LlorchWorker/Commands/KeysCall.swift.
// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import LlorchCommandLine
import LlorchWorker

struct KeysCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys",
        abstract: "Makes a key pair for CURVE, or shows the public key of one.",
        discussion: """
            Writes NAME.key_secret, which only its owner may read and which stays on this machine, \
            and NAME.key, which goes to the other machines. Prints the public key. Never replaces a \
            file. The format of both files is that of CZMQ and pyzmq (zmq.auth).

            EXAMPLES
              llorch-worker keys w1
              llorch-worker keys /etc/llorch/shim
              llorch-worker keys --show w1
            """)

    @Argument(help: "Base name of the key files, optionally with a directory.")
    var name: String

    @Flag(help: "Print the public key of a pair that exists, and make none.")
    var show = false

    func validate() throws { _ = try keyName() }

    func run() throws {
        if show { try KeysCall.show(keyName()) } else { try KeysCall.make(keyName()) }
    }

    private func keyName() throws -> KeyPairName {
        try Program.checkUsage { try KeyPairName(name) }
    }
}

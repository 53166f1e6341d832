// Finds the model that comes with llorch, for commands that name no model.
// SPDX-License-Identifier: Apache-2.0

import LlorchSystem

enum DemoModel {
    private static let name = "models/shakespeare"

    /// Looks in this directory and in each directory above the program's file, where a checkout has `models/` and an
    /// installation has `share/llorch/`.
    static func path() throws(CommandFailure) -> String {
        var places = [name]
        if let program = ProgramPath.current() {
            var parents = program.split(separator: "/")
            while parents.popLast() != nil {
                let parent = "/" + parents.joined(separator: "/")
                places += ["\(parent)/\(name)", "\(parent)/share/llorch/\(name)"]
            }
        }
        let found = places.first { (try? RegularFile(path: $0 + "/config.json")) != nil }
        guard let found else {
            throw CommandFailure(
                "the demo model (\(name)) is neither in this directory nor beside the program; "
                    + "name a model with --model")
        }
        return found
    }
}

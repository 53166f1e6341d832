// The name of a worker that was given none. What depends on names: docs/wire-protocol.md, section 2.
// SPDX-License-Identifier: Apache-2.0

import LlorchQueue
import LlorchSystem

enum WorkerName {
    /// `worker` at the default address, which one process of a machine can have and which other machines cannot
    /// reach; elsewhere `worker-HOST-PORT`, or with the number of the process where no port is fixed.
    static func standard(jobs: QueueEndpoint) -> String {
        let standard = QueueSocket.workerJobs
        if jobs.direction == standard.defaultDirection, jobs.address == standard.defaultAddress {
            return "worker"
        }
        let host = HostName.ofThisMachine ?? "host"
        let isFixed = jobs.direction == .bind && jobs.port != nil
        let distinction = (isFixed ? jobs.port.map { "\($0)" } : nil) ?? "\(ThisProcess.number)"
        return "worker-\(host)-\(distinction)"
    }
}

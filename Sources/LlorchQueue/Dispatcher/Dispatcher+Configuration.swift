// The times and bounds of the dispatcher. The rules that they belong to: docs/wire-protocol.md, section 3.
// SPDX-License-Identifier: Apache-2.0

extension Dispatcher {
    package struct Configuration: Sendable, Hashable {
        /// Jobs that may wait here.
        package var backlog = 1_000
        /// Jobs a worker has at a time.
        package var window = 1
        /// Without news of a job for this long it is sent again.
        package var quiet = Duration.seconds(5)
        /// A worker not heard for this long has lost what was sent to it.
        package var silence = Duration.seconds(10)
        /// A cancel is repeated this often until the terminal event.
        package var cancelInterval = Duration.milliseconds(250)
        /// A worker that refused a job is left alone for this long.
        package var rest = Duration.seconds(1)
        /// A worker that could not be sent to is tried again after this long.
        package var unreachableRest = Duration.milliseconds(50)
        /// A worker that is heard but could not be sent to for this long gets new sockets.
        package var wedged = Duration.seconds(10)
        /// A running job nobody here knows is cancelled after this long.
        package var strangerGrace = Duration.seconds(10)
        /// A job whose deadline passed is given up after this long without the worker's word.
        package var deadlineGrace = Duration.seconds(1)
        /// A worker not heard for this long is forgotten.
        package var forget = Duration.seconds(60)
        package var maximumWorkers = 256
        /// A job that was running when its worker died is not sent again after this many deaths.
        package var crashLimit = 2
        /// Copies without an answer, of a worker that is heard, before the attempt rises.
        package var unansweredLimit = 3
        /// A job that failed in a retriable way is not sent again after this many failures.
        package var failureLimit = 3

        package init() {}
    }
}

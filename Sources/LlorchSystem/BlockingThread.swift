// A thread of its own for work that blocks, which a task of Swift's pool must not do.
// SPDX-License-Identifier: Apache-2.0

import Glibc

package enum BlockingThread {
    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) {
            self.body = body
        }
    }

    /// Runs a body on a new thread and waits for its end without blocking.
    ///
    /// - Throws: what the body throws, or `SystemError` where no thread could be made.
    package static func run(_ body: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation { (ended: CheckedContinuation<Void, any Error>) in
            do {
                try start { ended.resume(with: Result(catching: body)) }
            } catch {
                ended.resume(throwing: error)
            }
        }
    }

    /// Runs a body on a new thread, which nothing waits for.
    package static func start(_ body: @escaping @Sendable () -> Void) throws(SystemError) {
        let work = unsafe Unmanaged.passRetained(Work(body))
        var thread = pthread_t()
        let code = unsafe pthread_create(
            &thread, nil,
            { argument in
                if let argument = unsafe argument {
                    unsafe Unmanaged<Work>.fromOpaque(argument).takeRetainedValue().body()
                }
                return nil
            }, work.toOpaque())
        guard code == 0 else {
            unsafe work.release()
            throw SystemError("pthread_create", code)
        }
        pthread_detach(thread)
    }
}

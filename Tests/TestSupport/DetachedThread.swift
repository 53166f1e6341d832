// A thread that may block, which a task must not, and a gate for it to block at.
// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A detached thread: the loop blocks, which a task must not.
package struct DetachedThread {
    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    private let body: @Sendable () -> Void

    package init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }

    package func start() {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Body(body))
        pthread_create(
            &thread, nil,
            { argument in
                if let argument {
                    Unmanaged<Body>.fromOpaque(argument).takeRetainedValue().run()
                }
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }
}

/// Holds a thread until it is opened, for good.
package final class Gate: Sendable {
    private let semaphore: Box

    private final class Box: @unchecked Sendable {
        var semaphore = sem_t()
        init() { sem_init(&semaphore, 0, 0) }
        deinit { sem_destroy(&semaphore) }
    }

    private let isOpen = Atomic<Bool>(false)

    package init() { semaphore = Box() }

    package var isPassable: Bool { isOpen.load(ordering: .acquiring) }

    package func pass() {
        if isPassable { return }
        while sem_wait(&semaphore.semaphore) != 0 {}
    }

    package func open() {
        isOpen.store(true, ordering: .releasing)
        sem_post(&semaphore.semaphore)
    }
}

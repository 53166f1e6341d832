"""usage: summarize.py SWIFT_STATUS PYTEST_STATUS FOLDER

Adds the tests of both reports in FOLDER up to one line, `N passed, N failed`. Ends with 1 where a test
failed or was skipped, a run ended badly, or nothing ran.
"""
# SPDX-License-Identifier: Apache-2.0

import pathlib
import sys
import xml.etree.ElementTree as ElementTree


def count(report):
    """Passed, failed and skipped test cases; all zero without a report."""
    passed = failed = skipped = 0
    if report.exists():
        for case in ElementTree.parse(report).iter("testcase"):
            kinds = {child.tag for child in case}
            if kinds & {"failure", "error"}:
                failed += 1
            elif "skipped" in kinds:
                skipped += 1
            else:
                passed += 1
    return passed, failed, skipped


def main():
    swift_status, pytest_status, folder = int(sys.argv[1]), int(sys.argv[2]), pathlib.Path(sys.argv[3])
    # Swift Testing writes beside the name it is given, which is XCTest's.
    swift = count(folder / "swift-swift-testing.xml")
    pytest = count(folder / "pytest.xml")
    passed, failed, skipped = (a + b for a, b in zip(swift, pytest))
    for name, status, (_, failures, _) in (
            ("swift test", swift_status, swift), ("pytest", pytest_status, pytest)):
        if status and not failures:
            print(f"{name} ended with {status} and reports no failed test: counted as one failure")
            failed += 1
    # A suite that is skipped as a whole is in no report; Swift Testing's log marks it.
    log = (folder / "swift.log").read_text(encoding="utf-8", errors="replace")
    marks = [line for line in log.splitlines() if line.startswith("➜")]
    print("\n".join(marks), end="\n" if marks else "")
    skipped = max(skipped, len(marks))
    if skipped:
        print("skipped tests prove nothing and count as failures")
        failed += skipped
    if passed + failed == 0:
        print("no test ran")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

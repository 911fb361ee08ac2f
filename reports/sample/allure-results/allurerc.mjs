// allure generate --config allure-results/allurerc.mjs allure-results
export default {
 "name": "KMS conformance: non-conformant, 2026-11-30",
 "historyPath": ".kms-conformance/allure-history.jsonl",
 "categories": [
  {
   "name": "Promises not kept",
   "matchedStatuses": [
    "failed"
   ],
   "messageRegex": "^failed:[\\s\\S]*"
  },
  {
   "name": "Preconditions that did not hold",
   "matchedStatuses": [
    "broken"
   ],
   "messageRegex": "^inconclusive:[\\s\\S]*"
  },
  {
   "name": "Errors of the suite",
   "matchedStatuses": [
    "broken"
   ],
   "messageRegex": "^error:[\\s\\S]*"
  },
  {
   "name": "Warnings",
   "matchedStatuses": [
    "passed"
   ],
   "messageRegex": "^warned:[\\s\\S]*"
  },
  {
   "name": "Accepted by the baseline",
   "matchedStatuses": [
    "skipped"
   ],
   "messageRegex": "^failed:[\\s\\S]*"
  },
  {
   "name": "Not tested",
   "matchedStatuses": [
    "skipped"
   ],
   "messageRegex": "^not-tested:[\\s\\S]*"
  },
  {
   "name": "Not applicable",
   "matchedStatuses": [
    "skipped"
   ],
   "messageRegex": "^not-applicable:[\\s\\S]*"
  }
 ]
};

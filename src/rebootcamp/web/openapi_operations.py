"""What the documentation says about one operation beyond its schemas: id, caller, keys and refusals."""

from __future__ import annotations

from typing import Any, Final

IDEMPOTENCY_PARAMETER: Final = "IdempotencyKey"
IF_MATCH_PARAMETER: Final = "IfMatch"
IF_NONE_MATCH_PARAMETER: Final = "IfNoneMatch"
NOT_MODIFIED: Final = "NotModified"
SECURITY_SCHEME: Final = "bearer"
KEY_SCHEME: Final = "shareKey"
DEFAULT_PROBLEM: Final = "Problem"
# Names of our own: HTTPStatus renamed some of its members between Python versions.
PROBLEM_NAMES: Final = {
    400: "MalformedRequest",
    401: "Unauthenticated",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    412: "StaleEdit",
    413: "BodyTooLarge",
    415: "UnsupportedMediaType",
    422: "ValidationFailed",
    429: "TooManyRequests",
    503: "Unavailable",
}
RESPONSE_NAMES: Final = {**PROBLEM_NAMES, 304: NOT_MODIFIED}
# The header that can lead to an answer, wherever a view declares that answer.
CONDITIONS: Final = {304: IF_NONE_MATCH_PARAMETER, 412: IF_MATCH_PARAMETER}


def prepare_operation(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Complete one operation; flask-smorest calls it after its own preparations."""
    doc["operationId"] = doc_info["operation_id"]
    policy, has_body = doc_info.get("policy"), "requestBody" in doc
    statuses = [400, 413, 415] if has_body else []
    if policy is not None and not policy.is_public:
        doc["security"] = [{SECURITY_SCHEME: []}, *([{KEY_SCHEME: []}] if policy.or_key else [])]
        statuses += [401]
        if policy.permission:
            doc["x-permission"] = policy.permission
            statuses += [403]
    else:
        doc["security"] = []
    if doc_info.get("idempotent"):
        doc.setdefault("parameters", []).append(IDEMPOTENCY_PARAMETER)
        statuses += [409, 422]
    responses = doc.setdefault("responses", {})
    for status in responses:
        if isinstance(responses[status], str):
            responses[status] = RESPONSE_NAMES.get(_number(status), DEFAULT_PROBLEM)
        if condition := CONDITIONS.get(_number(status)):
            doc.setdefault("parameters", []).append(condition)
    for status in statuses:
        if str(status) not in responses:
            responses.setdefault(status, PROBLEM_NAMES[status])
    return doc


def _number(status: object) -> int:
    return int(str(status)) if str(status).isdigit() else 0

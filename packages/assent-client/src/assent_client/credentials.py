"""Secrets by the forms that their issuers publish. Each pattern is bounded in length."""

from collections.abc import Mapping

SECRETS: Mapping[str, str] = {
    "aws": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "github": r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b|\bgithub_pat_[A-Za-z0-9_]{60,255}\b",
    "gitlab": r"\bglpat-[A-Za-z0-9_-]{20,100}",
    "slack": r"\bxox[abprs]-[A-Za-z0-9-]{10,200}|hooks\.slack\.com/services/(?:[A-Z0-9]{6,20}/){2}\w{16,40}",
    "stripe": r"\b[sr]k_live_[A-Za-z0-9]{16,200}\b",
    "google": r"\bAIza[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-])",
    "openai": r"\bsk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{32,200}",
    "anthropic": r"\bsk-ant-[A-Za-z0-9_-]{24,200}",
    "huggingface": r"\bhf_[A-Za-z0-9]{30,100}\b",
    "npm": r"\bnpm_[A-Za-z0-9]{36}\b",
    "pypi": r"\bpypi-AgE[A-Za-z0-9_-]{50,300}",
    "sendgrid": r"\bSG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{32,64}",
    "jwt": r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}",
    "private_key": r"-----BEGIN (?:[A-Z]{2,12} ){0,2}PRIVATE KEY-----",
    "url_password": r"\b[a-z][a-z0-9+]{1,20}://[^\s:/@]{1,100}:[^\s:/@]{3,100}@[\w.-]{1,200}",
    "assignment": r"(?i)\b(?:password|passwd|secret|api[_-]?key|access[_-]?token)[\"']?"
    r"\s{0,3}[:=]\s{0,3}[\"'][^\"'\s]{8,200}[\"']",
}

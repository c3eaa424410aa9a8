"""Settings, read once: environment variables `ASSENT_…`."""

from functools import cached_property
from pathlib import Path

import pydantic
from pydantic_settings import BaseSettings, SettingsConfigDict

from assent.kernel.addresses import checked_url, parse_allowed
from assent.kernel.errors import Invalid


class OidcProvider(pydantic.BaseModel):
    """A provider of OpenID Connect that people may sign in at."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    name: str = pydantic.Field(pattern=r"^[a-z0-9-]{1,63}$")
    title: str = pydantic.Field(min_length=1, max_length=100)
    issuer: str = pydantic.Field(
        max_length=500, pattern=r"^(https://[^\s?#]+|http://(127\.0\.0\.1|localhost)(:[0-9]+)?[^\s?#]*)$"
    )
    client_id: str = pydantic.Field(min_length=1, max_length=500)
    client_secret: pydantic.SecretStr | None = None


class Settings(BaseSettings):
    """What an installation may set. Each is an environment variable `ASSENT_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="ASSENT_", extra="ignore", frozen=True)

    data_dir: Path = pydantic.Field(
        Path("assent-data"), description="Database (SQLite), bodies, keys, journals."
    )
    database_url: str = pydantic.Field(
        "", description="`postgresql://…`; empty means SQLite in the data directory."
    )
    host: str = pydantic.Field("127.0.0.1", description="Address that the server binds.")
    port: int = pydantic.Field(8400, ge=0, le=65535, description="Port of the server; 0 takes a free one.")
    gateway_port: int = pydantic.Field(
        8401, ge=0, le=65535, description="Port of the gateway; 0 takes a free one."
    )
    metrics_port: int = pydantic.Field(
        0,
        ge=0,
        le=65535,
        description="Port on the loopback at which worker (and `assent serve`) give `/metrics` without a "
        "token; 0 gives none. The server's own `/metrics` asks for a token.",
    )
    public_url: str = pydantic.Field("", description="How people reach the server; used in links.")
    origin: str = pydantic.Field(
        "assent.local/ledger",
        pattern=r"^[^\s+]+$",
        description="Name of this ledger in checkpoints and keys.",
    )
    bootstrap_token: pydantic.SecretStr | None = pydantic.Field(
        None,
        description="Token of the first administrator, for automation; needed only until `assent init` ran.",
    )
    step_up_s: int = pydantic.Field(
        600, ge=30, description="How old a sign-in may be for a vote, in seconds."
    )
    oidc_providers: tuple[OidcProvider, ...] = pydantic.Field(
        (),
        description="Providers that people may sign in at: a JSON list of {name, title, issuer, client_id, "
        "client_secret}; see the how-to on signing in.",
    )
    session_hours: int = pydantic.Field(12, ge=1, le=24 * 30, description="Life of a console session.")
    snapshot_ttl_s: int = pydantic.Field(
        3600, ge=60, description="After how long a snapshot counts as stale."
    )
    ofrep_per_s: int = pydantic.Field(
        200,
        ge=1,
        le=100_000,
        description="Evaluations of flags by OFREP that an account may ask for a second.",
    )
    db_pool_size: int = pydantic.Field(
        10, ge=1, le=200, description="Connections to the database per process."
    )
    max_body_bytes: int = pydantic.Field(
        16_000_000, ge=1000, description="Largest request that the server reads."
    )
    hook_http: bool = pydantic.Field(
        default=False,
        description="Whether webhooks, guardrails' too, may go out over plain http; else https only.",
    )
    hook_allow: tuple[str, ...] = pydantic.Field(
        (),
        description="Hosts and networks, not public ones, that webhooks, guardrails' too, may reach: a JSON "
        'list, for example `["hooks.corp.example", "10.1.0.0/16"]`.',
    )
    smtp_host: str = pydantic.Field(
        "", pattern=r"^[A-Za-z0-9.:-]*$", description="Server that sends our e-mail; empty sends none."
    )
    smtp_port: int = pydantic.Field(587, ge=1, le=65535, description="Its port.")
    smtp_security: str = pydantic.Field(
        "starttls",
        pattern="^(starttls|tls|none)$",
        description="`starttls`, `tls` from the start, or `none`.",
    )
    smtp_user: str = pydantic.Field("", description="Who signs in there; empty for nobody.")
    smtp_password: str = pydantic.Field(
        "",
        pattern=r"^((env:|file:/).{1,1000})?$",
        description="Where its password is: `env:NAME` or `file:/path`, never the password.",
    )
    smtp_from: str = pydantic.Field(
        "",
        pattern=r"^([A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,180})?$",
        description="Address that our e-mail comes from.",
    )
    otlp_url: str = pydantic.Field(
        "",
        pattern=r"^(https?://[^\s?#@\\]{1,500})?$",
        description="Collector that the worker sends observed calls to as spans, below `/v1/traces`, for "
        "example `http://127.0.0.1:4318`; it may be no public one. Empty sends none.",
    )
    otlp_headers: str = pydantic.Field(
        "",
        pattern=r"^((env:|file:/).{1,1000})?$",
        description="Where the headers for it are, `env:NAME` or `file:/path`; there they stand as "
        "`name=value,name=value`, values in URL form.",
    )
    log_level: str = pydantic.Field(
        "INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="What is logged."
    )

    @pydantic.field_validator("hook_allow")
    @classmethod
    def _check_allowed(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        parse_allowed(entries)
        return entries

    @pydantic.field_validator("otlp_url")
    @classmethod
    def _check_collector(cls, url: str) -> str:
        try:
            _ = url and checked_url(url, http=True)
        except Invalid as error:
            raise ValueError(error.message) from error
        return url

    @cached_property
    def database(self) -> str:
        """Give the URL of the database in use."""
        return self.database_url or f"sqlite:///{self.data_dir.resolve() / 'assent.db'}"

    @property
    def base_url(self) -> str:
        """Give the address for links."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"


def load(**overrides: object) -> Settings:
    """Read the environment. Raises: Invalid, naming each variable that is wrong."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]  # pydantic checks them
    except pydantic.ValidationError as error:
        lines = [f"ASSENT_{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()]
        raise Invalid(
            "Settings: " + "; ".join(lines), remedy="Correct the environment variables named here."
        ) from None

"""A real SMTP server for tests: prints its port, then every mail as a line of JSON."""
import asyncio, json, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword, SMTP


class Handler:
    async def handle_DATA(self, server, session, envelope):
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "content": envelope.content.decode(),
            "tls": session.ssl is not None, "authenticated": session.authenticated,
        }), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.login == b"user" and data.password == b"pass word"
    return AuthResult(success=right, handled=right)


class WithTls(Controller):
    def factory(self):
        return SMTP(self.handler, **self.SMTP_kwargs)


async def main():
    mode, certificate, key = sys.argv[1:4]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    excluded = sys.argv[4].split(",") if len(sys.argv) > 4 else []

    def factory():
        options = {"authenticator": authenticate, "auth_exclude_mechanism": excluded, "enable_SMTPUTF8": True}
        if mode == "starttls":
            options["tls_context"] = context
        if mode == "plain" or mode == "implicit":
            options["auth_require_tls"] = False
        return SMTP(Handler(), **options)

    server = await asyncio.get_running_loop().create_server(
        factory, "127.0.0.1", 0, ssl=context if mode == "implicit" else None)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


asyncio.run(main())

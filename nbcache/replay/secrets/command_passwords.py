"""Passwords in options of shell commands, in a text: `mysql -psesame`, `curl -u me:sesame`.

Only commands whose option has a short name or a user before the password are listed. Options like `--password` of any
program are in `assigned_values.py` and `word_passwords.py`.

To add a command, write it as a line into COMMANDS.
"""

from nbcache.replay.secrets.rule import Rule

# In quotes, all up to the closing one. Without quotes, at least 3 characters without a space. No variable or
# placeholder (`$PASS`, `${PASS}`, `<password>`, `{password}`, `%PASS%`), no further option, and not digits alone: `-p
# 8080` is a port.
_VALUE = (
    r"(?P<open>[\"'])?(?P<secret>(?![$<{%\s-]|[\d.:/]+(?![^\s\"']))"
    r"(?(open)(?:(?!(?P=open))[^\r\n])|[^\s\"'`;|&)\\]){3,})"
)


def _command(program: str, option: str, *words: str) -> Rule:
    """The rule of a command with a password.

    Args:
        program: the pattern of the program's name.
        option: the pattern of what stands right before the password. It may be anywhere in the same command.
        words: how the option begins, one of them.
    """
    return Rule("a password", rf"{program}(?=[\s.-])[^\n|;&]{{0,200}}?[ \t]{option}{_VALUE}", words)


COMMANDS = (
    _command("mysql(?:dump|admin|import)?", "-p", " -p"),
    _command("mariadb", "-p", " -p"),
    _command("mongosh", "(?:-p|--password)[ =]", " -p", " --password"),
    _command("docker login", "(?:-p|--password)[ =]", " -p", " --password"),
    _command("sshpass", "-p[ ]?", " -p"),
    _command("curl", r"(?:-u|--user)[ =]?[\"']?[^\s:\"'/]{1,64}:", " -u", " --user"),
)

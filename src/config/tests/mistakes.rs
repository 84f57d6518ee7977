//! Texts with mistakes, and the exact messages for them.

/// Texts that cannot be used, and their messages: `LINE:COLUMN: what; hint`.
pub(super) const MISTAKES: &[(&str, &[&str])] = &[
    // Syntax.
    ("x = ", &["1:5: string values must be quoted, expected literal string"]),
    ("[server.a]\nhost = \"a\"\nhost = \"b\"\n", &["3:1: duplicate key"]),
    ("[[rule]\n", &["1:8: unclosed array table, expected `]`"]),
    // Keys.
    (
        "colour = 1\n",
        &[
            "1:1: unknown key 'colour'; the keys are server, listen, forward, rule, default, backlog, \
             dashboard",
        ],
    ),
    ("[[rules]]\n", &["1:3: unknown key 'rules'; did you mean 'rule'?"]),
    (
        "[[rule]]\ndomian = [\"a\"]\nvia = \"a\"\n[server.a]\n",
        &["2:1: unknown key 'domian' in [[rule]]; did you mean 'domain'?"],
    ),
    (
        "[server.a]\nhots = \"a\"\n",
        &["2:1: unknown key 'hots' in [server.a]; did you mean 'host'?"],
    ),
    (
        "[server.a]\nsessions = { min = 1, mx = 2 }\n",
        &["2:23: unknown key 'mx' in sessions of [server.a]; did you mean 'max'?"],
    ),
    // A mistake is reported, but not its consequences.
    (
        "[server.a]\n[[rule]]\ndomian_suffix = \"x\"\nvia = \"a\"\n[[rule]]\naction = \"reject\"\n",
        &["3:1: unknown key 'domian_suffix' in [[rule]]; did you mean 'domain_suffix'?"],
    ),
    (
        "[server.a]\n[[rule]]\nvai = \"a\"\n",
        &["3:1: unknown key 'vai' in [[rule]]; did you mean 'via'?"],
    ),
    (
        "[sever.a]\n[[rule]]\nvia = \"a\"\n[default]\nvia = \"a\"\n",
        &["1:2: unknown key 'sever'; did you mean 'server'?"],
    ),
    (
        "[[listn]]\naddress = \"1\"\nname = \"m\"\n[[rule]]\nlistener = \"m\"\naction = \"reject\"\n",
        &["1:3: unknown key 'listn'; did you mean 'listen'?"],
    ),
    (
        "[[listen]]\nadress = \"1\"\nname = \"m\"\n[[rule]]\nlistener = \"m\"\naction = \"reject\"\n",
        &["2:1: unknown key 'adress' in [[listen]]; did you mean 'address'?"],
    ),
    (
        "[[listen]]\naddress = \"*:1\"\nallow_remot = true\n",
        &["3:1: unknown key 'allow_remot' in [[listen]]; did you mean 'allow_remote'?"],
    ),
    (
        "[[forward]]\nlocl = \"1\"\nto = \"a:1\"\n",
        &["2:1: unknown key 'locl' in [[forward]]; did you mean 'local'?"],
    ),
    (
        "[[rule]]\ncdir = \"10.0.0.0/8\"\nresolve = \"local\"\naction = \"reject\"\n",
        &["2:1: unknown key 'cdir' in [[rule]]; did you mean 'cidr'?"],
    ),
    // Of two independent mistakes neither hides the other.
    (
        "[server.a]\nhots = \"b\"\n[[rule]]\nport = 1\nresolve = \"local\"\nvia = \"a\"\n",
        &[
            "2:1: unknown key 'hots' in [server.a]; did you mean 'host'?",
            "5:1: the rule '1': `resolve` has no effect without `cidr` or `list`",
        ],
    ),
    // Lists.
    (
        "[[rule]]\nport = 1\ninvalid_lines = \"skip\"\naction = \"reject\"\n",
        &["3:17: [[rule]] has 'invalid_lines' without 'list'; leave it out"],
    ),
    // Types.
    (
        "server = 1\n",
        &["1:10: [server.NAME] should be a table, not the number 1; write [server.NAME]"],
    ),
    (
        "listen = { address = \"1080\" }\n",
        &["1:10: [[listen]] should be a list of tables, not a table; write [[listen]]"],
    ),
    ("rule = [1]\n", &["1:9: [[rule]] should be a table, not the number 1"]),
    (
        "[[listen]]\naddress = 1080\n",
        &["2:11: 'address' in [[listen]] should be a string, not the number 1080"],
    ),
    (
        "[[listen]]\naddress = \"*:1\"\nallow_remote = \"yes\"\n",
        &[
            "2:11: other machines could use the proxy *:1; ask for a password with auth = \"FILE\", or allow it with allow_remote = true",
            "3:16: 'allow_remote' in [[listen]] should be true or false, not the string 'yes'",
        ],
    ),
    (
        "[server.a]\nport = \"22\"\nidentity = [1, \"k\", {}]\n",
        &[
            "2:8: 'port' in [server.a] should be a number from 1 to 65535, not the string '22'",
            "3:13: 'identity' in [server.a] should be a list of strings, not the number 1",
            "3:21: 'identity' in [server.a] should be a list of strings, not a table",
        ],
    ),
    // Listeners.
    (
        "[[listen]]\nname = \"main\"\n",
        &["1:1: [[listen]] has no 'address'; write address = \"127.0.0.1:1080\""],
    ),
    (
        "[[listen]]\naddress = \"me@example.com:1080\"\n",
        &[
            "2:11: address 'me@example.com:1080': the bind address is not an IP address, a host name or `*`",
        ],
    ),
    (
        "[[listen]]\naddress = \"example.com:1080\"\n",
        &["2:11: other machines could use the proxy example.com:1080; ask for a password with \
             auth = \"FILE\", or allow it with allow_remote = true"],
    ),
    (
        "[[listen]]\naddress = \"127.0.0.1:65536\"\n",
        &["2:11: address '127.0.0.1:65536': the port is not a number from 0 to 65535"],
    ),
    (
        "[[listen]]\naddress = \"0.0.0.0:1080\"\n",
        &[
            "2:11: other machines could use the proxy 0.0.0.0:1080; ask for a password with auth = \"FILE\", or allow it with allow_remote = true",
        ],
    ),
    (
        "[[listen]]\naddress = \"1\"\nname = \"a\"\n[[listen]]\naddress = \"2\"\nname = \"a\"\n",
        &["5:11: two listeners have the name 'a'; the other is in line 2"],
    ),
    (
        "[[listen]]\naddress = \"1\"\n[[listen]]\naddress = \"localhost:1\"\n",
        &["4:11: two listeners have the address localhost:1; the other is in line 2"],
    ),
    (
        "[[listen]]\naddress = \"1\"\nauth = \"/nowhere/users\"\n",
        &["3:8: auth: cannot read /nowhere/users: No such file or directory (os error 2)"],
    ),
    (
        "[[listen]]\naddress = \"1\"\n[[listen]]\naddress = \"127.0.0.1:1\"\n\
         [[forward]]\nlocal = \"*:1\"\nto = \"a:1\"\n[[forward]]\nlocal = \"[::1]:2\"\nto = \"a:1\"\n\
         [[forward]]\nlocal = \"2\"\nto = \"a:1\"\n",
        &[
            "4:11: localhost:1 and 127.0.0.1:1 cannot both be listened on; the other is in line 2",
            "6:9: localhost:1 and *:1 cannot both be listened on",
            "12:9: [::1]:2 and localhost:2 cannot both be listened on",
        ],
    ),
    // Servers.
    (
        "[server.a]\nhost = \"-oProxyCommand=x\"\n",
        &[
            "2:8: host '-oProxyCommand=x': a host name cannot start with '-': '-oProxyCommand=x'; write host = \"[user@]host[:port]\"",
        ],
    ),
    (
        "[server.\"a b\"]\n",
        &["1:9: host 'a b': not a host name: 'a b'; write host = \"[user@]host[:port]\""],
    ),
    (
        "[server.a]\nport = 0\n[server.b]\nport = 65536\n",
        &[
            "2:8: 'port' in [server.a] should be a number from 1 to 65535, not the number 0",
            "4:8: 'port' in [server.b] should be a number from 1 to 65535, not the number 65536",
        ],
    ),
    (
        "[server.a]\nsessions = { min = 9, max = 8 }\n[server.b]\nsessions = 0\n",
        &[
            "2:12: sessions of [server.a]: expected 1 <= MIN <= MAX <= 64; write sessions = { min = 1, max = 8 }",
            "4:12: sessions of [server.b]: expected 1 <= MIN <= MAX <= 64; write sessions = { min = 1, max = 8 }",
        ],
    ),
    (
        "[server.a]\noptions = [\"Compression\"]\n",
        &["2:12: the option 'Compression' has no value; write options = [\"Key=Value\"]"],
    ),
    // Rules: their action.
    (
        "[[rule]]\n",
        &[
            "1:1: [[rule]] has neither 'via' nor 'action'; write via = [\"SERVER\"], or action = \"reject\" or \"direct\"",
        ],
    ),
    (
        "[[rule]]\ndomain = \"a\"\n",
        &[
            "1:1: [[rule]] has neither 'via' nor 'action'; write via = [\"SERVER\"], or action = \"reject\" or \"direct\"",
        ],
    ),
    (
        "[server.a]\n[[rule]]\nvia = \"a\"\naction = \"reject\"\n",
        &["4:10: [[rule]] has both 'via' and 'action'; leave one of them out"],
    ),
    (
        "[[rule]]\nvia = \"a\"\n",
        &["2:7: there is no server 'a'; no server is configured: write [server.a]"],
    ),
    (
        "[server.bastion]\n[[rule]]\nvia = [\"bastoin\", \"xyz\"]\n",
        &[
            "3:8: there is no server 'bastoin'; did you mean 'bastion'?",
            "3:19: there is no server 'xyz'; the servers are bastion",
        ],
    ),
    ("[server.a]\n[[rule]]\nvia = [\"a\", \"a\"]\n", &["3:13: the server 'a' is named twice"]),
    (
        "[server.a]\n[[rule]]\nvia = []\n",
        &["3:7: 'via' in [[rule]] is an empty list; leave it out, or name something"],
    ),
    (
        "[server.a]\n[[rule]]\nvia = \"a\"\nselect = \"fastest\"\n",
        &["4:10: unknown select 'fastest'; it may be order, latency, balance"],
    ),
    (
        "[[rule]]\naction = \"drop\"\n[[rule]]\naction = \"rejected\"\n",
        &[
            "2:10: unknown action 'drop'; it may be reject, direct",
            "4:10: unknown action 'rejected'; did you mean 'reject'?",
        ],
    ),
    (
        "[[rule]]\naction = \"reject\"\nselect = \"order\"\n",
        &["3:1: [[rule]] has 'select' without 'via'; leave it out"],
    ),
    (
        "[default]\n",
        &[
            "1:1: [default] has neither 'via' nor 'action'; write via = [\"SERVER\"], or action = \"reject\" or \"direct\"",
        ],
    ),
    // Forwards.
    (
        "[[forward]]\n",
        &[
            "1:1: [[forward]] has neither 'local' nor 'remote'; write local = \"127.0.0.1:PORT\", or remote = \"PORT\" and on = \"SERVER\"",
        ],
    ),
    (
        "[[forward]]\nlocal = \"1\"\n",
        &[
            "1:1: [[forward]] with 'local' has no 'to'; write to = \"host:port\", or use [[listen]] for a proxy",
        ],
    ),
    (
        "[[forward]]\nlocal = \"1\"\nremote = \"2\"\nto = \"a:1\"\n",
        &["3:10: [[forward]] has both 'local' and 'remote'; write two of them"],
    ),
    (
        "[[forward]]\nlocal = \"a:b:c\"\nto = \"a\"\n",
        &[
            "2:9: local 'a:b:c': not of the form [bind:]port, nor the path of a socket (write a colon in it as \\:)",
            "3:6: to 'a': not of the form host:port, nor the path of a socket",
        ],
    ),
    (
        "[server.a]\n[[forward]]\nremote = \"1\"\nvia = \"a\"\n",
        &[
            "2:1: [[forward]] with 'remote' has no 'on'; write on = \"SERVER\"",
            "4:1: [[forward]] with 'remote' has 'via'; write on = \"SERVER\"; what its clients may reach is up to the rules",
        ],
    ),
    (
        "[server.a]\n[[forward]]\nlocal = \"1\"\nto = \"b:1\"\non = \"a\"\n",
        &["5:6: [[forward]] with 'local' has 'on'; write via = [\"SERVER\"]"],
    ),
    (
        "[server.a]\n[[forward]]\nremote = \"*:0\"\non = \"a\"\n[[forward]]\nremote = \"0.0.0.0:0\"\non = \"a\"\nallow_remote = true\n[[forward]]\nremote = \"name:0\"\non = \"a\"\nallow_remote = false\n",
        &[
            "3:10: other machines could use the proxy *:0; ask for a password with auth = \"FILE\", or allow it with allow_remote = true",
            "10:10: other machines could use the proxy name:0; ask for a password with auth = \"FILE\", or allow it with allow_remote = true",
        ],
    ),
    (
        "[server.a]\n[[forward]]\nremote = \"*:1\"\non = \"a\"\nto = \"b:1\"\nauth = \"f\"\n[[forward]]\nlocal = \"*:1\"\nto = \"b:1\"\nallow_remote = true\n",
        &[
            "6:8: [[forward]] with a target has 'auth'; leave it out: only a proxy has users",
            "10:1: [[forward]] with a target has 'allow_remote'; leave it out: only a proxy has users",
        ],
    ),
    (
        "[[forward]]\nremote = \"1\"\non = \"a\"\n",
        &["3:6: there is no server 'a'; no server is configured: write [server.a]"],
    ),
    (
        "[[listen]]\naddress = \"1\"\n[[forward]]\nlocal = \"1\"\nto = \"a:1\"\n[[forward]]\nlocal = \"localhost:1\"\nto = \"a:1\"\n",
        &[
            "4:9: a listener has the address localhost:1 already",
            "7:9: two forwards listen on localhost:1; the other is in line 4",
        ],
    ),
    // Limits.
    (
        "[dashboard]\naddress = \"*:9090\"\ntoken = \"/none\"\nfile = \"x\"\n",
        &[
            "2:11: address '*:9090': other machines could reach the dashboard; let it listen on loopback, \
             and lead them there by an SSH forward",
            "3:9: token '/none': cannot read it: No such file or directory (os error 2)",
            "4:1: unknown key 'file' in [dashboard]; did you mean 'files'?",
        ],
    ),
    (
        "[backlog]\nconnection = \"much\"\n",
        &["2:14: 'connection' in [backlog] should be a size, as \"16MiB\", not the string 'much'"],
    ),
    (
        "[backlog]\nconnection = 1\n",
        &["1:1: [backlog]: a connection needs at least 1MiB, and no more than all together"],
    ),
];

/// Texts that can be used, and their warnings.
pub(super) const WARNINGS: &[(&str, &[&str])] = &[
    (
        "[[rule]]\naction = \"reject\"\n[[rule]]\nport = 1\naction = \"direct\"\n",
        &["3:1: the rule '2' is never reached; the rule '1' before it matches everything"],
    ),
    (
        "[server.work]\n[[rule]]\nport = 25\naction = \"reject\"\n",
        &[
            "1:9: every request to a proxy is rejected: no rule leads to a server; for all that no rule matches, \
           write via = \"work\" in [default]",
        ],
    ),
    ("[server.work]\n[default]\naction = \"reject\"\n", &[]),
    (
        "[[listen]]\naddress = \"1080\"\n[[rule]]\nlistener = [\"127.0.0.1:1081\", \"[::1]:1080\"]\naction = \"reject\"\n\
         [default]\naction = \"direct\"\n",
        &[
            "4:13: no listener of the file has the address '127.0.0.1:1081', at most a -D; the listeners are 1080",
        ],
    ),
    (
        "[[rule]]\nlistener = \"127.0.0.1:1080\"\naction = \"reject\"\n[default]\naction = \"direct\"\n",
        &[],
    ),
    ("[server.work]\n[[forward]]\nlocal = \"1\"\nto = \"a:1\"\nvia = \"work\"\n", &[]),
];

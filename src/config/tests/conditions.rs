//! Rules with invalid conditions, and the exact messages for them.

/// Texts and their messages, as in [`MISTAKES`](super::mistakes::MISTAKES).
pub(super) const CONDITIONS: &[(&str, &[&str])] = &[
    (
        "[[rule]]\ndomain = [\"*.a.example\", \"10.0.0.1\", \"a b\"]\naction = \"reject\"\n",
        &[
            "2:11: domain '*.a.example': `*` is no part of a name: for a name and all below it use `domain_suffix`",
            "2:26: domain '10.0.0.1': this is an address: addresses are matched by `cidr`; write cidr = [\"10.0.0.1\"]",
            "2:38: domain 'a b': not a host name or an address",
        ],
    ),
    (
        "[[rule]]\ndomain_suffix = \"a.*\"\naction = \"reject\"\n",
        &[
            "2:17: domain_suffix 'a.*': `*` is no part of a name: for a name and all below it use `domain_suffix`",
        ],
    ),
    (
        "[[rule]]\ndomain = [\"a.example,b.example\", \"'c.example'\"]\naction = \"reject\"\n",
        &[
            "2:11: domain 'a.example,b.example': a host name has only letters, digits, `-`, `_` and `.`; write domain = [\"a.example\", \"b.example\"]",
            "2:34: domain ''c.example'': a host name has only letters, digits, `-`, `_` and `.`",
        ],
    ),
    (
        "[[rule]]\ndomain_suffix = \"a.example, b.example\"\ncidr = \"10.0.0.0/8,fd00::/8\"\n\
         port = \"80,443\"\naction = \"reject\"\n",
        &[
            "2:17: domain_suffix 'a.example, b.example': not a host name or an address; write domain_suffix = [\"a.example\", \"b.example\"]",
            "3:8: cidr '10.0.0.0/8,fd00::/8': not an address or a range of addresses, as 10.0.0.0/8 or fd00::/8; write cidr = [\"10.0.0.0/8\", \"fd00::/8\"]",
            "4:8: port: a port is a number from 1 to 65535, and a range two of them, as 8000-8999; write port = [\"80\", \"443\"]",
        ],
    ),
    (
        "[[rule]]\ndomain_keyword = \"a,b\"\ndomain_regex = 'é$'\naction = \"reject\"\n",
        &[
            "2:18: domain_keyword 'a,b': no host name contains this in its ASCII form (xn--...)",
            "3:16: domain_regex 'é$': no host name contains this in its ASCII form (xn--...)",
        ],
    ),
    (
        "[[rule]]\ndomain_keyword = [\"\", \"é\"]\naction = \"reject\"\n",
        &[
            "2:19: domain_keyword '': it is empty; leave it out",
            "2:23: domain_keyword 'é': no host name contains this in its ASCII form (xn--...)",
        ],
    ),
    (
        "[[rule]]\ndomain_regex = ['(', \"\\\\p{\"]\naction = \"reject\"\n",
        &[
            "2:17: domain_regex '(': not a regular expression: unclosed group",
            "2:22: domain_regex '\\p{': not a regular expression: incomplete escape sequence, reached end of pattern prematurely; in single quotes TOML leaves backslashes alone",
        ],
    ),
    (
        "[[rule]]\ncidr = [\"10.0.0.1/8\", \"10.0.0.0/33\", \"fd00::1/8\"]\naction = \"reject\"\n",
        &[
            "2:9: cidr '10.0.0.1/8' has bits behind its prefix; write 10.0.0.0/8, or 10.0.0.1 for the one address",
            "2:23: cidr '10.0.0.0/33': not an address or a range of addresses, as 10.0.0.0/8 or fd00::/8",
            "2:38: cidr 'fd00::1/8' has bits behind its prefix; write fd00::/8, or fd00::1 for the one address",
        ],
    ),
    (
        "[[rule]]\nsource = \"localhost\"\naction = \"reject\"\n",
        &[
            "2:10: source 'localhost': not an address or a range of addresses, as 10.0.0.0/8 or fd00::/8",
        ],
    ),
    (
        "[[rule]]\nport = [0, 65536, \"9-1\", \"a\", \"1-\", -1, \"+1\"]\naction = \"reject\"\n",
        &[
            "2:9: port: a port is a number from 1 to 65535, and a range two of them, as 8000-8999",
            "2:12: port: a port is a number from 1 to 65535, and a range two of them, as 8000-8999",
            "2:19: port: the range ends before it starts",
            "2:26: port: a port is a number from 1 to 65535, and a range two of them, as 8000-8999",
            "2:31: port: a port is a number from 1 to 65535, and a range two of them, as 8000-8999",
            "2:37: 'port' in [[rule]] should be ports, as 443 or \"8000-8999\", not the number -1",
            "2:41: port: a port is a number from 1 to 65535, and a range two of them, as 8000-8999",
        ],
    ),
    (
        "[[listen]]\naddress = \"1\"\nname = \"main\"\n[[rule]]\nlistener = [\"mian\", \"other\"]\naction = \"reject\"\n",
        &[
            "5:13: there is no listener 'mian'; did you mean 'main'?",
            "5:21: there is no listener 'other'; the listeners are main",
        ],
    ),
    (
        "[[rule]]\ncidr = \"::/0\"\nresolve = \"here\"\naction = \"reject\"\n",
        &["3:11: unknown resolve 'here'; it may be local, remote"],
    ),
    (
        "[[rule]]\nport = 1\nresolve = \"local\"\naction = \"reject\"\n",
        &["3:1: the rule '1': `resolve` has no effect without `cidr` or `list`"],
    ),
    (
        "[[rule]]\nname = \"a\"\nport = 1\naction = \"reject\"\n[[rule]]\nname = \"a\"\naction = \"reject\"\n",
        &["5:1: two rules have the name 'a'; the other is in line 1"],
    ),
    (
        "[[rule]]\ndomain = []\naction = \"reject\"\n",
        &["2:10: 'domain' in [[rule]] is an empty list; leave it out, or name something"],
    ),
];

use proptest::prelude::*;

use super::{Token, highlight};

const LANGUAGES: [&str; 9] = ["sh", "yaml", "dockerfile", "nginx", "html", "json", "diff", "css", "unknown"];

fn shown(language: &str, text: &str) -> String {
    let piece = |(text, token): &(&str, Token)| match token {
        Token::Plain => (*text).to_owned(),
        token => format!("<{token:?}:{text}>"),
    };
    let lines = highlight(language, text);
    lines.iter().map(|line| line.iter().map(piece).collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[test]
fn each_language_knows_its_words() {
    fn check(language: &str, text: &str, expected: &str) {
        assert_eq!(shown(language, text), expected, "{language}: {text}");
    }
    check("sh", "git commit -m 'x' # why", "<Command:git> commit <Option:-m> <Text:'x'> <Comment:# why>");
    check("sh", "A=1 run && b", "<Variable:A>=1 <Command:run> <Operator:&&> <Command:b>");
    check("sh", "cat <<EOF\n$x\nEOF\nls", "<Command:cat> <Operator:<<EOF>\n<Text:$x>\n<Operator:EOF>\n<Command:ls>");
    check(
        "sh",
        "if [ -e a ]; then b; fi",
        "<Keyword:if> <Operator:[> <Option:-e> a <Operator:];> <Keyword:then> <Command:b><Operator:;> <Keyword:fi>",
    );
    check("sh", "echo a#b \"c\\\"$d\"", "<Command:echo> a#b <Text:\"c\\\"><Variable:$d><Text:\">");
    check("yaml", "a: 1 # n", "<Key:a><Operator::> <Number:1> <Comment:# n>");
    check("yaml", "- b: {{ .x }}-y", "<Operator:-> <Key:b><Operator::> <Template:{{ .x }}>-y");
    check(
        "yaml",
        "c: |\n  d: e\nf: true",
        "<Key:c><Operator::> <Operator:|>\n<Text:  d: e>\n<Key:f><Operator::> <Keyword:true>",
    );
    check("yaml", "url: http://a:80/b", "<Key:url><Operator::> http://a:80/b");
    check("yaml", "{{- if .a }}", "<Template:{{- if .a }}>");
    check(
        "dockerfile",
        "FROM a AS b\nRUN x \\\n  y",
        "<Keyword:FROM> a <Keyword:AS> b\n<Keyword:RUN> x <Operator:\\>\n  y",
    );
    check("nginx", "listen 80;", "<Key:listen> <Number:80><Operator:;>");
    check(
        "html",
        "<p class=\"a\">x &lt; y</p>",
        "<Operator:<><Tag:p> <Key:class><Operator:=><Text:\"a\"><Operator:>>x <Variable:&lt;> y<Operator:</><Tag:p><Operator:>>",
    );
    check(
        "json",
        "{\"a\": [1, null]}",
        "<Operator:{><Key:\"a\"><Operator::> <Operator:[><Number:1><Operator:,> <Keyword:null><Operator:]}>",
    );
    check(
        "css",
        "a:hover { color: #fff }",
        "<Tag:a:hover> <Operator:{> <Key:color><Operator::> <Number:#fff> <Operator:}>",
    );
    check("diff", "@@ -1 +1 @@\n-a\n+b\n c", "<Hunk:@@ -1 +1 @@>\n<Removed:-a>\n<Added:+b>\n c");
}

fn code() -> impl Strategy<Value = String> {
    let shard = prop_oneof![
        any::<String>(),
        proptest::sample::select(vec![
            "\n", "\"", "'", "$", "${", "$(", "<<EOF\n", "EOF\n", "\\", "{{", "}}", "<", "<!--", ">", "a: ", "- ",
            "|\n", "  ", "#", "/*", "{", "}", ";", "@", "&", "é",
        ])
        .prop_map(str::to_owned),
    ];
    proptest::collection::vec(shard, 0..20).prop_map(|shards| shards.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_character_is_lost(text in code()) {
        for language in LANGUAGES {
            let lines: Vec<String> =
                highlight(language, &text).iter().map(|line| line.iter().map(|(text, _)| *text).collect()).collect();
            prop_assert_eq!(lines.join("\n"), &*text, "{}", language);
        }
    }
}

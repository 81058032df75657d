use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::render;
use crate::markdown::{AlertKind, Alignment, Block, Inline, ListItem};
use crate::ui::theme::Theme;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z ]{0,30}", "[a-z]{0,60}", any::<String>(), Just("宽字符 é \u{200b}\u{1b}[31m".to_owned())]
}

fn inlines() -> impl Strategy<Value = Vec<Inline>> {
    let leaf = prop_oneof![
        text().prop_map(Inline::Text),
        text().prop_map(Inline::Code),
        Just(Inline::SoftBreak),
        Just(Inline::HardBreak),
        (text(), text()).prop_map(|(url, alt)| Inline::Image { url, alt }),
    ];
    let inline = leaf.prop_recursive(2, 8, 3, |inner| {
        let content = proptest::collection::vec(inner, 0..3);
        prop_oneof![
            content.clone().prop_map(Inline::Emphasis),
            content.clone().prop_map(Inline::Strong),
            content.clone().prop_map(Inline::Strikethrough),
            (text(), content).prop_map(|(url, content)| Inline::Link { url, content }),
        ]
    });
    proptest::collection::vec(inline, 0..4)
}

fn blocks() -> impl Strategy<Value = Vec<Block>> {
    let cells = proptest::collection::vec(inlines(), 0..4).boxed();
    let table = (cells.clone(), proptest::collection::vec(cells, 0..3)).prop_map(|(header, rows)| Block::Table {
        alignments: vec![Alignment::Left, Alignment::Right, Alignment::Center],
        header,
        rows,
    });
    let language =
        proptest::sample::select(vec!["sh", "yaml", "dockerfile", "nginx", "html", "json", "diff", "css", "text", ""]);
    let code = (language, text(), proptest::option::of(text())).prop_map(|(language, text, label)| Block::Code {
        language: language.to_owned(),
        text,
        label,
    });
    let leaf = prop_oneof![
        inlines().prop_map(Block::Paragraph),
        (1..6_u8, inlines()).prop_map(|(level, content)| Block::Heading { level, content }),
        code,
        table,
        Just(Block::Rule),
    ];
    let block = leaf.prop_recursive(3, 12, 3, |inner| {
        let content = proptest::collection::vec(inner, 0..3);
        let item = (proptest::option::of(any::<bool>()), content.clone())
            .prop_map(|(checked, content)| ListItem { checked, content });
        prop_oneof![
            (proptest::option::of(any::<u64>()), proptest::collection::vec(item, 0..3))
                .prop_map(|(start, items)| Block::List { start, items }),
            content.clone().prop_map(Block::Quote),
            content.prop_map(|content| Block::Alert { kind: AlertKind::Note, content }),
        ]
    });
    proptest::collection::vec(block, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn anything_is_rendered_at_any_width(blocks in blocks(), width in 0..120_usize) {
        let plain = render(&blocks, Theme::PLAIN, width);
        prop_assert!(!plain.contains('\u{1b}'), "no escape without colour");
        let coloured = render(&blocks, Theme { colour: true, hyperlinks: true }, width);
        let bare = console::strip_ansi_codes(&coloured);
        prop_assert!(!bare.contains('\u{1b}'), "only escapes of our own, and each of them ended");
    }

    #[test]
    fn prose_keeps_to_the_width(words in proptest::collection::vec("[a-z]{1,14}|`[a-z ]{1,12}`|春眠不觉晓处处闻啼鸟", 0..60), width in 20..100_usize) {
        let text = render(&[Block::Paragraph(vec![Inline::Text(words.join(" "))])], Theme::PLAIN, width);
        for line in text.lines() {
            prop_assert!(line.width() <= width, "{line}");
        }
        let shown: String = text.split_whitespace().collect();
        let meant: String = words.concat().split_whitespace().collect();
        prop_assert_eq!(shown, meant);
    }
}

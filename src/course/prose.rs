//! From Markdown to the flat elements that are shown. Top-level headings, fences and block quotes come out
//! apart, with their ranges, because lessons give them a meaning.

use std::iter::Peekable;
use std::ops::Range;

use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, Event, OffsetIter, Options, Parser, Tag};

use super::diagnostics::{Report, nearest};
use super::fence::Verb;
use super::source::SourceFile;
use super::yaml::Reader;
use crate::markdown::{AlertKind, Alignment, Block, Inline, ListItem};

/// Deeper nesting than a reader can follow; what lies deeper is dropped, with a mistake reported.
const DEPTH_MAX: usize = 16;

/// A top-level element of a lesson with its range in the file.
#[derive(Debug)]
pub struct Element {
    pub kind: ElementKind,
    pub span: Range<usize>,
}

/// What an element is.
#[derive(Debug)]
pub enum ElementKind {
    /// A heading of any level; `id` from `{#id}`.
    Heading { level: u8, content: Vec<Inline>, id: Option<String> },
    /// A fenced code block, to be read from the source.
    Fence,
    /// A block quote whose first line is `[!HINT …]` or `[!DEBRIEF …]`; `arguments` is what follows the word.
    Marked { marker: Marker, arguments: Range<usize>, content: Vec<Block> },
    /// Everything else.
    Block(Block),
}

/// The block quotes that are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    Hint,
    Debrief,
}

/// The markers that a block quote can begin with, ours and GitHub's.
const MARKERS: [&str; 7] = ["HINT", "DEBRIEF", "NOTE", "TIP", "IMPORTANT", "WARNING", "CAUTION"];

/// Parses the file from `base` to its end.
pub fn parse(reader: &mut Reader, base: usize) -> Vec<Element> {
    let file = reader.file;
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_GFM;
    let source = &file.text[base..];
    let mut builder = Builder {
        events: Parser::new_ext(source, options).into_offset_iter().peekable(),
        file,
        base,
        reader,
        depth: 0,
    };
    let mut elements = Vec::new();
    while let Some((event, range)) = builder.events.next() {
        let span = range.start + base..range.end + base;
        if let Some(kind) = builder.element(event, &span) {
            elements.push(Element { kind, span });
        }
    }
    elements
}

/// A text of one paragraph, such as a quiz's option, with its code and emphasis.
pub fn inlines(text: &str) -> Vec<Inline> {
    let file = SourceFile::new("", text);
    let mut report = Report::default();
    let elements = parse(&mut Reader { file: &file, report: &mut report }, 0);
    match elements.into_iter().next().map(|element| element.kind) {
        Some(ElementKind::Block(Block::Paragraph(content))) => content,
        _ => vec![Inline::Text(text.to_owned())],
    }
}

struct Builder<'a, 'r, 'e> {
    events: Peekable<OffsetIter<'a>>,
    file: &'a SourceFile,
    base: usize,
    reader: &'e mut Reader<'r>,
    depth: usize,
}

impl<'a> Builder<'a, '_, '_> {
    fn element(&mut self, event: Event<'a>, span: &Range<usize>) -> Option<ElementKind> {
        match event {
            Event::Start(Tag::Heading { level, id, .. }) => {
                let content = self.inlines();
                Some(ElementKind::Heading { level: level as u8, content, id: id.map(|id| id.to_string()) })
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_))) => {
                self.skip();
                Some(ElementKind::Fence)
            }
            Event::Start(Tag::BlockQuote(alert)) => self.quote(alert, span),
            event => self.block(event, span).map(ElementKind::Block),
        }
    }

    /// A block quote at the top level, which may be a hint or a debrief.
    fn quote(&mut self, alert: Option<BlockQuoteKind>, span: &Range<usize>) -> Option<ElementKind> {
        let (line, line_span) = self.file.lines(span.clone()).next()?;
        let Some((word, arguments)) = marker(line) else {
            return Some(ElementKind::Block(quoted(alert, self.nested(0))));
        };
        let arguments = line_span.start + arguments.start..line_span.start + arguments.end;
        let ours = match word {
            "HINT" => Some(Marker::Hint),
            "DEBRIEF" => Some(Marker::Debrief),
            _ => None,
        };
        if let Some(marker) = ours {
            let content = self.nested(line_span.end);
            return Some(ElementKind::Marked { marker, arguments, content });
        }
        if alert.is_none() {
            let at = line_span.start + line.find('[').unwrap_or(0)..line_span.end;
            let message = if MARKERS.contains(&word) {
                format!("`[!{word}]` must stand alone on the first line of its block quote")
            } else {
                format!("unknown marker `[!{word}]`")
            };
            let diagnostic = self.reader.error(&at, message);
            if let Some(near) = nearest(word, MARKERS).filter(|near| *near != word) {
                diagnostic.help(format!("did you mean `[!{near}]`?"));
            }
        }
        Some(ElementKind::Block(quoted(alert, self.nested(0))))
    }

    /// One block, whose first event has been taken.
    fn block(&mut self, event: Event<'a>, span: &Range<usize>) -> Option<Block> {
        match event {
            Event::Start(Tag::Paragraph) => Some(Block::Paragraph(self.inlines())).filter(|block| !is_empty(block)),
            Event::Start(Tag::Heading { level, .. }) => {
                Some(Block::Heading { level: level as u8, content: self.inlines() })
            }
            Event::Start(Tag::CodeBlock(kind)) => Some(self.code(&kind, span)),
            Event::Start(Tag::BlockQuote(alert)) => Some(quoted(alert, self.nested(0))),
            Event::Start(Tag::List(start)) => Some(self.list(start)),
            Event::Start(Tag::Table(alignments)) => Some(self.table(&alignments)),
            Event::Start(Tag::HtmlBlock) => {
                self.html(span);
                None
            }
            Event::Rule => Some(Block::Rule),
            Event::Start(_) => {
                self.skip();
                None
            }
            _ => None,
        }
    }

    /// The blocks up to the end of the container that is open; inline events that start before `from` are left
    /// out, which is how a marker's line disappears.
    fn nested(&mut self, from: usize) -> Vec<Block> {
        self.depth += 1;
        let mut blocks = Vec::new();
        if self.depth > DEPTH_MAX {
            if let Some((_, range)) = self.events.peek() {
                let span = range.start + self.base..range.end + self.base;
                self.reader.error(&span, "this is nested too deeply to be read");
            }
            self.skip();
        } else {
            while let Some((event, range)) = self.events.next() {
                let span = range.start + self.base..range.end + self.base;
                match event {
                    Event::End(_) => break,
                    Event::Start(Tag::Paragraph) if span.start < from => {
                        let content = self.inlines_from(from);
                        blocks.push(Block::Paragraph(content));
                    }
                    event if is_inline(&event) => blocks.push(self.loose_inlines(event, &span)),
                    event => blocks.extend(self.block(event, &span)),
                }
            }
        }
        self.depth -= 1;
        blocks.retain(|block| !is_empty(block));
        blocks
    }

    /// The text of a tight list item, which has no paragraph around it.
    fn loose_inlines(&mut self, first: Event<'a>, span: &Range<usize>) -> Block {
        let mut content = Vec::new();
        self.inline(first, span, &mut content);
        while self.events.peek().is_some_and(|(event, _)| is_inline(event)) {
            let (event, range) = self.events.next().expect("an event was peeked");
            self.inline(event, &(range.start + self.base..range.end + self.base), &mut content);
        }
        Block::Paragraph(autolinked(content))
    }

    fn code(&mut self, kind: &CodeBlockKind, span: &Range<usize>) -> Block {
        let mut language = String::new();
        if let CodeBlockKind::Fenced(info) = kind {
            let mut words = info.split_whitespace();
            words.next().unwrap_or_default().clone_into(&mut language);
            if let Some(verb) = words.next().and_then(Verb::parse) {
                let message = format!("a `{}` fence inside of a list or a quote", verb.word());
                self.reader
                    .error(&(span.start..span.start + 3), message)
                    .help("put it at the left margin, or take the verb away");
            }
        }
        let mut text = String::new();
        for (event, _) in self.events.by_ref() {
            match event {
                Event::Text(part) => text.push_str(&part),
                Event::End(_) => break,
                _ => {}
            }
        }
        Block::Code { language, text: text.trim_end_matches('\n').to_owned(), label: None }
    }

    fn list(&mut self, start: Option<u64>) -> Block {
        let mut items = Vec::new();
        while let Some((event, _)) = self.events.next() {
            match event {
                Event::Start(Tag::Item) => {
                    let checked = match self.events.peek() {
                        Some((Event::TaskListMarker(checked), _)) => Some(*checked),
                        _ => None,
                    };
                    if checked.is_some() {
                        self.events.next();
                    }
                    items.push(ListItem { checked, content: self.nested(0) });
                }
                _ => break,
            }
        }
        Block::List { start, items }
    }

    fn table(&mut self, alignments: &[pulldown_cmark::Alignment]) -> Block {
        let alignments = alignments
            .iter()
            .map(|alignment| match alignment {
                pulldown_cmark::Alignment::None => Alignment::None,
                pulldown_cmark::Alignment::Left => Alignment::Left,
                pulldown_cmark::Alignment::Center => Alignment::Center,
                pulldown_cmark::Alignment::Right => Alignment::Right,
            })
            .collect();
        let (mut header, mut rows) = (Vec::new(), Vec::new());
        while let Some((event, _)) = self.events.next() {
            match event {
                Event::Start(Tag::TableHead) => header = self.cells(),
                Event::Start(Tag::TableRow) => rows.push(self.cells()),
                _ => break,
            }
        }
        Block::Table { alignments, header, rows }
    }

    fn cells(&mut self) -> Vec<Vec<Inline>> {
        let mut cells = Vec::new();
        while let Some((Event::Start(Tag::TableCell), _)) = self.events.next() {
            cells.push(self.inlines());
        }
        cells
    }

    /// HTML is not shown; comments are the author's own notes.
    fn html(&mut self, span: &Range<usize>) {
        self.skip();
        let text = self.file.text[span.clone()].trim();
        if !text.starts_with("<!--") {
            self.reader.warning(span, "HTML is not shown in a terminal").help("write it in Markdown");
        }
    }

    /// The inlines up to the end of the element that is open.
    fn inlines(&mut self) -> Vec<Inline> {
        self.inlines_from(0)
    }

    fn inlines_from(&mut self, from: usize) -> Vec<Inline> {
        self.depth += 1;
        let mut content = Vec::new();
        if self.depth > DEPTH_MAX {
            self.skip();
        } else {
            while let Some((event, range)) = self.events.next() {
                let span = range.start + self.base..range.end + self.base;
                match event {
                    Event::End(_) => break,
                    Event::SoftBreak if span.start <= from && content.is_empty() => {}
                    Event::Start(_) if span.end <= from => self.skip(),
                    _ if span.start < from && !matches!(event, Event::Start(_)) => {}
                    event => self.inline(event, &span, &mut content),
                }
            }
        }
        self.depth -= 1;
        autolinked(content)
    }

    fn inline(&mut self, event: Event<'a>, span: &Range<usize>, content: &mut Vec<Inline>) {
        match event {
            Event::Text(text) => join_text(content, &text),
            Event::Code(text) => content.push(Inline::Code(text.to_string())),
            Event::SoftBreak => content.push(Inline::SoftBreak),
            Event::HardBreak => content.push(Inline::HardBreak),
            Event::Start(Tag::Emphasis) => content.push(Inline::Emphasis(self.inlines())),
            Event::Start(Tag::Strong) => content.push(Inline::Strong(self.inlines())),
            Event::Start(Tag::Strikethrough) => content.push(Inline::Strikethrough(self.inlines())),
            Event::Start(Tag::Link { dest_url, .. }) => {
                let url = dest_url.to_string();
                content.push(Inline::Link { url, content: self.inlines() });
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                let alt = plain_text(&self.inlines());
                content.push(Inline::Image { url: dest_url.to_string(), alt });
            }
            Event::Start(_) => content.extend(self.inlines()),
            Event::InlineHtml(html) => {
                let tag = html.to_lowercase();
                if tag.starts_with("<br") {
                    content.push(Inline::HardBreak);
                } else if !tag.starts_with("<!--") {
                    self.reader
                        .warning(span, format!("`{html}` is taken for HTML, which is not shown in a terminal"))
                        .help("put it between backticks, or write `\\<`");
                }
            }
            _ => {}
        }
    }

    /// Drops everything up to the end of the element that is open.
    fn skip(&mut self) {
        let mut open = 1;
        while open > 0 {
            match self.events.next() {
                Some((Event::Start(_), _)) => open += 1,
                Some((Event::End(_), _)) => open -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }
}

/// The word and the rest of `> [!WORD rest]`, if a line is such a one.
fn marker(line: &str) -> Option<(&str, Range<usize>)> {
    let content = line.trim_start().strip_prefix('>')?.trim_start();
    let inside = content.strip_prefix("[!")?;
    let start = line.len() - inside.len();
    let word_end = inside.find(|c: char| !c.is_ascii_alphabetic())?;
    let word = &inside[..word_end];
    let line_end = line.trim_end().len();
    let arguments = line[start + word_end..line_end].strip_suffix(']')?;
    if word.is_empty() || !word.chars().all(|c| c.is_ascii_uppercase()) {
        return None;
    }
    Some((word, start + word_end..start + word_end + arguments.len()))
}

fn quoted(alert: Option<BlockQuoteKind>, content: Vec<Block>) -> Block {
    let kind = match alert {
        None => return Block::Quote(content),
        Some(BlockQuoteKind::Note) => AlertKind::Note,
        Some(BlockQuoteKind::Tip) => AlertKind::Tip,
        Some(BlockQuoteKind::Important) => AlertKind::Important,
        Some(BlockQuoteKind::Warning) => AlertKind::Warning,
        Some(BlockQuoteKind::Caution) => AlertKind::Caution,
    };
    Block::Alert { kind, content }
}

fn is_inline(event: &Event) -> bool {
    matches!(
        event,
        Event::Text(_)
            | Event::Code(_)
            | Event::InlineHtml(_)
            | Event::SoftBreak
            | Event::HardBreak
            | Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. })
    )
}

fn is_empty(block: &Block) -> bool {
    matches!(block, Block::Paragraph(content) if content.iter().all(|inline| matches!(inline, Inline::SoftBreak)))
}

/// Makes links of `<${URL}>`, which `CommonMark` does not take for one before the variable has its value.
fn autolinked(inlines: Vec<Inline>) -> Vec<Inline> {
    let mut content = Vec::with_capacity(inlines.len());
    for inline in inlines {
        match inline {
            Inline::Text(text) if text.contains("<${") => push_links(&mut content, &text),
            other => content.push(other),
        }
    }
    content
}

fn push_links(content: &mut Vec<Inline>, text: &str) {
    let mut rest = text;
    while let Some(start) = rest.find("<${") {
        let Some(end) = rest[start..].find('>').map(|end| end + start) else { break };
        let url = &rest[start + 1..end];
        if url.contains(char::is_whitespace) {
            break;
        }
        join_text(content, &rest[..start]);
        content.push(Inline::Link { url: url.to_owned(), content: vec![Inline::Text(url.to_owned())] });
        rest = &rest[end + 1..];
    }
    join_text(content, rest);
}

fn join_text(content: &mut Vec<Inline>, text: &str) {
    match content.last_mut() {
        _ if text.is_empty() => {}
        Some(Inline::Text(last)) => last.push_str(text),
        _ => content.push(Inline::Text(text.to_owned())),
    }
}

/// The words of inlines without their dress.
pub fn plain_text(inlines: &[Inline]) -> String {
    let mut text = String::new();
    for inline in inlines {
        match inline {
            Inline::Text(part) | Inline::Code(part) => text.push_str(part),
            Inline::Emphasis(content)
            | Inline::Strong(content)
            | Inline::Strikethrough(content)
            | Inline::Link { content, .. } => text.push_str(&plain_text(content)),
            Inline::Image { alt, .. } => text.push_str(alt),
            Inline::SoftBreak | Inline::HardBreak => text.push(' '),
        }
    }
    text
}

//! A Markdown page as a list of blocks, of which the outputs can be replaced.

use std::path::Path;

/// A page.
pub struct Page {
    /// Its blocks in order.
    pub blocks: Vec<Block>,
}

/// A part of a page.
pub enum Block {
    /// A block of commands to be run: the info string is `sh`.
    Commands {
        /// The lines between the fences.
        text: String,
    },
    /// What the commands before it print: the info string is `text`.
    Output {
        /// The lines between the fences.
        text: String,
    },
    /// A file that the reader saves: the info string ends with `file=NAME`.
    File {
        /// The file's name.
        name: String,
        /// The lines between the fences.
        text: String,
    },
    /// Any other fenced block.
    Other {
        /// The info string.
        info: String,
        /// The lines between the fences.
        text: String,
    },
    /// What stands outside of fences.
    Prose {
        /// The lines.
        text: String,
    },
}

impl Page {
    /// Reads a page.
    pub fn read(path: &Path) -> Self {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self::parse(&text)
    }

    fn parse(text: &str) -> Self {
        let mut blocks = Vec::new();
        let mut prose = String::new();
        let mut lines = text.split_inclusive('\n');
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                prose.push_str(line);
                continue;
            };
            if !prose.is_empty() {
                blocks.push(Block::Prose { text: std::mem::take(&mut prose) });
            }
            let inside: String = lines.by_ref().take_while(|line| line.trim_end() != "```").collect();
            blocks.push(Block::fenced(info.trim(), inside));
        }
        if !prose.is_empty() {
            blocks.push(Block::Prose { text: prose });
        }
        Self { blocks }
    }

    /// The page as Markdown.
    pub fn text(&self) -> String {
        self.blocks.iter().map(Block::text).collect()
    }

    /// Whether only blank lines stand between a block and an output.
    pub fn has_output_after(&self, at: usize) -> bool {
        self.place_of_output(at).is_some()
    }

    fn place_of_output(&self, at: usize) -> Option<usize> {
        match (self.blocks.get(at + 1), self.blocks.get(at + 2)) {
            (Some(Block::Output { .. }), _) => Some(at + 1),
            (Some(Block::Prose { text }), Some(Block::Output { .. })) if text.trim().is_empty() => {
                Some(at + 2)
            }
            (Some(_) | None, _) => None,
        }
    }

    /// Puts an output behind a block of commands, in place of the one that stands there. A block that prints
    /// nothing has no output behind it.
    pub fn set_output_after(&mut self, at: usize, output: &str) {
        match (self.place_of_output(at), output.is_empty()) {
            (Some(place), false) => self.blocks[place] = Block::Output { text: output.to_owned() },
            (Some(place), true) => self.blocks[place] = Block::Prose { text: String::new() },
            (None, true) => {}
            (None, false) => {
                // It joins the prose that follows, so that the places of the other blocks do not move.
                let inserted = format!("\n{}", Block::Output { text: output.to_owned() }.text());
                match self.blocks.get_mut(at + 1) {
                    Some(Block::Prose { text }) => text.insert_str(0, &inserted),
                    Some(_) | None => {
                        panic!("a block of commands that prints something needs a paragraph after it")
                    }
                }
            }
        }
    }

    /// What the page shows for a block of commands, the last one if there are several.
    pub fn output_of(&self, commands: &str) -> Option<String> {
        let at = self.blocks.iter().rposition(|block| match block {
            Block::Commands { text } => text == commands,
            Block::Output { .. } | Block::File { .. } | Block::Other { .. } | Block::Prose { .. } => false,
        })?;
        match self.blocks.get(self.place_of_output(at)?) {
            Some(Block::Output { text }) => Some(text.clone()),
            Some(_) | None => None,
        }
    }
}

impl Block {
    fn fenced(info: &str, text: String) -> Self {
        match (info, info.split_once(",file=")) {
            ("sh", _) => Self::Commands { text },
            ("text", _) => Self::Output { text },
            (_, Some((_, name))) => Self::File { name: name.to_owned(), text },
            (_, None) => Self::Other { info: info.to_owned(), text },
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Commands { text } => format!("```sh\n{text}```\n"),
            Self::Output { text } => format!("```text\n{text}```\n"),
            Self::File { name, text } => format!("```toml,file={name}\n{text}```\n"),
            Self::Other { info, text } => format!("```{info}\n{text}```\n"),
            Self::Prose { text } => text.clone(),
        }
    }
}

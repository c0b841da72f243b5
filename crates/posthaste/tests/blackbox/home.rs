//! Where a service has its store, of either kind, from one start to the next.

use std::path::PathBuf;

use posthaste_testkit::redis::{Persistence, RedisServer};
use tempfile::TempDir;

use crate::service::{Service, folder, posthaste};

/// A data folder, and a Redis where the store is one.
pub(crate) struct Home {
    folder: TempDir,
    redis: Option<RedisServer>,
}

impl Home {
    pub(crate) fn sqlite() -> Self {
        Self { folder: folder(), redis: None }
    }

    pub(crate) fn redis() -> Self {
        Self { folder: folder(), redis: Some(RedisServer::start(Persistence::AofAlways).unwrap()) }
    }

    /// Starts a service on it.
    pub(crate) fn start(&self) -> Service {
        let mut command = posthaste(self.folder.path());
        if let Some(redis) = &self.redis {
            command.env("POSTHASTE_STORE", redis.url());
        }
        Service::start_with(command.args(["serve", "--listen", "127.0.0.1:0"]))
    }

    /// Everything that the store has written to disk.
    pub(crate) fn written(&self) -> Vec<u8> {
        let folder = match &self.redis {
            None => self.folder.path().to_owned(),
            // The name of the setting, and its value.
            Some(redis) => {
                let told = redis.command(&["CONFIG", "GET", "dir"]).unwrap();
                PathBuf::from(told.lines().nth(1).unwrap()).join("appendonlydir")
            }
        };
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| path.is_file()).flat_map(|path| std::fs::read(path).unwrap()).collect()
    }
}

/// Makes a test of each function for each store: a function takes the home of a service.
macro_rules! at_every_home {
    ($($test:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::home::Home::sqlite()).await;
                }
            )*
        }

        mod redis {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test($crate::home::Home::redis()).await;
                }
            )*
        }
    };
}

pub(crate) use at_every_home;

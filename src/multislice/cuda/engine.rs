//! The CUDA engine: one or more cards of one model, a pool of workspaces on each, and classes of waves that go to the card with the least to do.

use super::driver::Driver;
use super::propagation::Run;
use super::specialise::WORTH_COMPILING;
use super::tables::{Route, Tables};
use super::workspace::Workspace;
use super::{DeviceError, specialise};
use crate::crystal::Element;
use crate::multislice::{Bloch, Engine, InitialWaves, MultisliceError, Propagation, Setting};
use crate::specimen::{Slice, TransmissionTables};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// f32 engine on one or more cards.
pub struct Cuda {
    pub(super) setting: Setting,
    pub(super) elements: Vec<Element>,
    cards: Vec<Card>,
}

/// A card and what it holds for this engine.
struct Card {
    driver: Arc<dyn Driver>,
    tables: Tables,
    pool: Mutex<Pool>,
    returned: Condvar,
    work: AtomicUsize,
    /// Definitions of the kernel that was compiled for this size, empty if none could be.
    compiled: OnceLock<String>,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Workspace>,
    busy: usize,
}

/// A workspace on loan; it goes back when dropped.
pub(super) struct Lease<'a> {
    card: &'a Card,
    workspace: Option<Workspace>,
}

impl Cuda {
    /// An engine for one setting and the elements its slices hold. `route` is taken where it can be; by default the fastest that can.
    pub fn new(setting: &Setting, elements: &[Element], drivers: Vec<Arc<dyn Driver>>, route: Option<Route>) -> Result<Self, DeviceError> {
        if let Some(other) = drivers.iter().find(|d| d.model() != drivers[0].model()) {
            return Err(DeviceError::MixedCards { first: drivers[0].name(), other: other.name() });
        }
        let Setting { grid, beam, factors, oversampling, band } = *setting;
        let source = TransmissionTables::new(grid, oversampling, band, beam, factors, elements);
        let card = |driver: Arc<dyn Driver>| -> Result<Card, DeviceError> {
            let mut workspace = Workspace::new(driver.as_ref())?;
            let tables = Tables::new(driver.as_ref(), &mut workspace, setting, &source, route)?;
            // Tables are read by every queue: they have to have arrived.
            workspace.wait()?;
            let pool = Mutex::new(Pool { idle: vec![workspace], busy: 0 });
            Ok(Card { driver, tables, pool, returned: Condvar::new(), work: AtomicUsize::new(0), compiled: OnceLock::new() })
        };
        let cards = drivers.into_iter().map(card).collect::<Result<Vec<_>, _>>()?;
        // The order of the tables on the cards.
        let elements = source.potentials.keys().copied().collect();
        Ok(Self { setting: *setting, elements, cards })
    }

    /// The route waves take.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        self.cards.first().map(|c| c.tables.route)
    }

    /// Compiles the fused kernel for this grid now, if it can be; otherwise that happens when there was enough work to be worth it.
    pub fn specialise(&self) -> Result<bool, DeviceError> {
        let mut all = !self.cards.is_empty();
        for card in &self.cards {
            all &= !card.specialise(self.setting.grid.nx, self.setting.grid.ny)?.is_empty();
        }
        Ok(all)
    }

    /// Counts work, and gives the definitions of the kernel to launch.
    pub(super) fn count_work(&self, wave_slices: usize, lease: &Lease<'_>) -> Result<String, DeviceError> {
        let grid = self.setting.grid;
        let before = lease.card.work.fetch_add(wave_slices * grid.len(), Ordering::Relaxed);
        if lease.card.tables.route == Route::Fused && before > WORTH_COMPILING {
            return lease.card.specialise(grid.nx, grid.ny);
        }
        Ok(lease.card.compiled.get().cloned().unwrap_or_default())
    }

    /// A workspace on the card with the least to do. Waits where a new one would not fit beside those in use.
    fn lease(&self, bytes: usize) -> Result<Lease<'_>, DeviceError> {
        let busy = |card: &&Card| card.lock().busy;
        // An engine is never made without a card.
        let card = self.cards.iter().min_by_key(busy).expect("an engine has a card");
        let mut pool = card.lock();
        let mut waited = 0;
        loop {
            if let Some(workspace) = pool.idle.pop() {
                pool.busy += 1;
                return Ok(Lease { card, workspace: Some(workspace) });
            }
            // After a minute it is tried all the same: whoever holds the others may be waiting for this one.
            if pool.busy == 0 || waited == 60 || card.driver.free_bytes()? > bytes {
                let workspace = Workspace::new(card.driver.as_ref())?;
                pool.busy += 1;
                return Ok(Lease { card, workspace: Some(workspace) });
            }
            pool = card.returned.wait_timeout(pool, Duration::from_secs(1)).unwrap_or_else(PoisonError::into_inner).0;
            waited += 1;
        }
    }

    /// Bytes that a propagation of so many waves takes, roughly.
    fn bytes(&self, waves: usize) -> usize {
        let copies = if self.cards.first().is_some_and(|c| c.tables.route == Route::Passes) { 14 } else { 8 };
        copies * self.setting.grid.len() * (waves + 4) + (160 << 20)
    }
}

impl Card {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        // The pool is whole at every moment: a thread that panicked elsewhere leaves nothing half done.
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn specialise(&self, nx: usize, ny: usize) -> Result<String, DeviceError> {
        if let Some(known) = self.compiled.get() {
            return Ok(known.clone());
        }
        let wanted = specialise::definitions([nx, ny]).filter(|_| self.tables.route == Route::Fused);
        let made = match wanted {
            Some(definitions) if self.driver.specialise(&definitions)? => definitions,
            _ => String::new(),
        };
        Ok(self.compiled.get_or_init(|| made).clone())
    }
}

impl Lease<'_> {
    /// The workspace and the card's tables.
    pub(super) fn parts(&mut self) -> (&mut Workspace, &Tables) {
        // It is taken out only when the lease ends.
        (self.workspace.as_mut().expect("a lease has its workspace"), &self.card.tables)
    }
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = self.card.lock();
        pool.busy -= 1;
        pool.idle.extend(self.workspace.take());
        self.card.returned.notify_one();
    }
}

impl Engine for Cuda {
    fn name(&self) -> String {
        let names: Vec<String> = self.cards.iter().map(|c| c.driver.name()).collect();
        let route = self.route().map_or("", |r| match r {
            Route::Fused => "fused",
            Route::Passes => "passes",
            Route::Transforms => "cufft",
        });
        format!("{} f32 {route}", names.join(" + "))
    }

    fn batch(&self) -> usize {
        // A quarter of the free memory a batch: several travel at once.
        let free = self.cards.first().and_then(|c| c.driver.free_bytes().ok()).unwrap_or(0);
        (free / 4 / (16 * self.setting.grid.len())).clamp(1, 1024)
    }

    fn start<'a>(
        &'a self,
        bloch: Bloch,
        slices: &'a [Slice],
        waves: InitialWaves<'_>,
    ) -> Result<Box<dyn Propagation + 'a>, MultisliceError> {
        let lease = self.lease(self.bytes(waves.len()))?;
        Ok(Box::new(Run::start(self, lease, bloch, slices, waves)?))
    }
}

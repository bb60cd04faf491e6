//! Transmission functions exp(iσV) of a chunk of slices, made on the card: the same steps as `specimen::transmission`, all slices at once.
//!
//! Atoms stand where the host puts them, from the same counter-based draws as for every engine.

use super::DeviceError;
use super::tables::{Route, Tables};
use super::workspace::{Arg, Slot, Workspace, blocks};
use crate::crystal::Element;
use crate::specimen::SliceAtom;

/// Bytes on the card that one slice takes while its transmission function is made, for a fine and a working grid.
pub(super) fn bytes_a_slice(tables: &Tables) -> usize {
    let points = |size: [usize; 2]| size[0] * size[1];
    // Half a complex potential, a grating, the result.
    8 * (points(tables.fine.size) * 3 / 2 + points(tables.coarse.size))
}

/// Queues the transmission functions of these slices into [`Slot::Transmissions`], in real space, one after the other; stored column by
/// column on the fused route. Atoms of elements the tables do not hold are left out.
pub(super) fn build(workspace: &mut Workspace, tables: &Tables, elements: &[Element], slices: &[&[SliceAtom]]) -> Result<(), DeviceError> {
    let ([nx, ny], [fx, fy]) = (tables.coarse.size, tables.fine.size);
    let (n, fine_n, count) = (nx * ny, fx * fy, slices.len());
    let (mut places, mut weights, mut element, mut first) = (Vec::new(), Vec::new(), Vec::new(), vec![0_i32]);
    for slice in slices {
        for atom in *slice {
            let Some(row) = elements.iter().position(|e| *e == atom.element) else { continue };
            places.push(atom.in_plane);
            weights.push(atom.weight as f32);
            element.push(row as i32);
        }
        first.push(element.len() as i32);
    }
    let atoms = element.len();
    workspace.put(Slot::Places, &places)?;
    workspace.put(Slot::Weights, &weights)?;
    workspace.put(Slot::Elements, &element)?;
    workspace.put(Slot::First, &first)?;
    workspace.reserve(Slot::PhasesX, 8 * fx * atoms)?;
    workspace.reserve(Slot::PhasesY, 8 * fy * atoms)?;
    let pairs = count.div_ceil(2);
    workspace.reserve(Slot::Potentials, 8 * fine_n * pairs)?;
    workspace.reserve(Slot::Gratings, 8 * fine_n * count)?;
    workspace.reserve(Slot::Transmissions, 8 * n * count)?;

    use Arg::{Int, Slot as S, Table};
    if atoms > 0 {
        let arguments = [S(Slot::PhasesX), S(Slot::PhasesY), S(Slot::Places), S(Slot::Weights), Int(fx), Int(fy), Int(atoms)];
        workspace.launch("phases", blocks(fx + fy, 256, atoms), [256, 1, 1], &arguments)?;
    }
    let arguments = [S(Slot::Potentials), Table(&tables.potentials), S(Slot::PhasesX), S(Slot::PhasesY), S(Slot::Elements), S(Slot::First)];
    let arguments = [&arguments[..], &[Int(fx), Int(fy), Int(count)]].concat();
    workspace.launch("potential", blocks(fine_n, 256, pairs), [256, 1, 1], &arguments)?;
    tables.fine.transform(workspace, Slot::Potentials, pairs, true, false)?;
    let arguments = [S(Slot::Gratings), S(Slot::Potentials), Int(fine_n), Int(count)];
    workspace.launch("grating", blocks(fine_n, 256, count), [256, 1, 1], &arguments)?;
    tables.fine.transform(workspace, Slot::Gratings, count, false, false)?;
    let arguments =
        [S(Slot::Transmissions), S(Slot::Gratings), Table(&tables.cut_from), Table(&tables.cut_pass), Int(n), Int(fine_n), Int(count)];
    workspace.launch("cut", blocks(n, 256, count), [256, 1, 1], &arguments)?;
    tables.coarse.transform(workspace, Slot::Transmissions, count, true, tables.route == Route::Fused)
}
